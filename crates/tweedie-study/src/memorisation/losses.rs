//! The losses by noise level: the minimum, and where the network leaves it.

use super::SIGMA;
use super::probe::Losses;
use super::training::Learned;
use crate::{PageFolder, Table};
use tweedie::Result;
use tweedie::noise::Levels;
use tweedie::report::{Axis, Chart, Color, PALETTE, Series};

const GREY: Color = [120, 120, 120];
const BLACK: Color = [31, 41, 55];

/// What the vertical axes show.
const LOSS: (f64, f64) = (1e-3, 10.0);
const EXCESS: (f64, f64) = (1e-3, 1e4);

/// A network has left the minimum where its loss is twice that.
const LEFT: f64 = 1.0;

/// A noise level at which training items do not overlap.
const CLEAR: f64 = 0.1;

pub fn sections(folder: &mut PageFolder, levels: &Levels, learned: &[Learned]) -> Result<()> {
    folder.section("The loss by noise level");
    folder.paragraph(
        "The minimum falls to 0 below the noise level at which the training items no longer \
         overlap: there the exact denoiser knows which item it was. More items lie closer together, \
         so that this happens at less noise. On held-out items the exact denoiser is useless \
         there: it returns the nearest training item, and its loss rises above 1, that of no \
         denoising at all. A network that generalises has the same loss on both kinds of items.",
    );
    for found in learned {
        let name = format!("loss-{}", found.count);
        let caption = format!(
            "After training on {} items. The gap between the network's two curves is what it has \
             learned by heart; the gap down to the minimum is what it has not.",
            found.count
        );
        folder.chart(&name, &loss_chart(found, levels), &caption)?;
    }
    folder.section("The excess over the minimum");
    folder.paragraph(
        "The network's loss on training items above the minimum, relative to the minimum, as \
         training goes on. It is E |H^ - H|² over E |x0 - H|², both computed with the exact \
         denoiser H, and so is exact also where the two losses differ by less than their noise.",
    );
    for found in learned {
        let name = format!("excess-{}", found.count);
        let caption = format!(
            "Training on {} items, by number of updates. Where a curve crosses the dashed line the \
             loss is twice its minimum.",
            found.count
        );
        folder.chart(&name, &excess_chart(found, levels), &caption)?;
    }
    departures(folder, levels, learned)?;
    folder.data("losses", &numbers(levels, learned))
}

/// (sigma, y) where y is wanted.
fn points<'a>(
    levels: &'a Levels,
    losses: &'a [Losses],
    y: impl Fn(&Losses) -> f64 + 'a,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    let pairs = levels.as_slice().iter().zip(losses);
    pairs.map(move |(&sigma, losses)| (sigma, y(losses)))
}

fn sigma_axis() -> Axis {
    Axis::log("noise level σ").range(SIGMA.1, SIGMA.0)
}

fn loss_chart(found: &Learned, levels: &Levels) -> Chart {
    let last = found.last();
    let of = |y: fn(&Losses) -> f64| points(levels, last, y).collect::<Vec<_>>();
    Chart::new(format!(
        "Loss by noise level, {} training items",
        found.count
    ))
    .x(sigma_axis())
    .y(Axis::log("share of the noise left").range(LOSS.0, LOSS.1))
    .series(Series::dashed("exact, held-out", of(|l| l.exact_held_out.value)).color(GREY))
    .series(Series::line("minimum (exact, training)", of(|l| l.minimum.value)).color(BLACK))
    .series(Series::line("network, held-out", of(|l| l.held_out.value)).color(PALETTE[1]))
    .series(Series::line("network, training", of(Losses::training)).color(PALETTE[0]))
}

fn excess_chart(found: &Learned, levels: &Levels) -> Chart {
    let mut chart = Chart::new(format!(
        "Excess over the minimum, {} training items",
        found.count
    ))
    .x(sigma_axis())
    .y(Axis::log("excess relative to the minimum").range(EXCESS.0, EXCESS.1));
    let last = found.losses.len().saturating_sub(1).max(1);
    for (i, (updates, losses)) in found.losses.iter().enumerate() {
        // From light to dark.
        let share = i as f64 / last as f64;
        let color = [(205.0, 0.0), (222.0, 40.0), (240.0, 105.0)]
            .map(|(light, dark)| (light + share * (dark - light)) as u8);
        let label = format!("{updates} updates");
        let points = points(levels, losses, Losses::relative);
        chart = chart.series(Series::line(label, points).color(color));
    }
    let line = [(SIGMA.1, LEFT), (SIGMA.0, LEFT)];
    chart.series(Series::dashed("twice the minimum", line).color(PALETTE[1]))
}

/// The noise level below which the network's loss is more than twice the minimum: none where it
/// is nowhere.
fn departure(levels: &Levels, losses: &[Losses]) -> Option<f64> {
    let relative: Vec<f64> = losses.iter().map(Losses::relative).collect();
    crossing(levels.as_slice(), &relative)
}

/// The largest `x` up to which, from the smallest on, `y` is above [`LEFT`]; `x` is decreasing.
fn crossing(x: &[f64], y: &[f64]) -> Option<f64> {
    let below = y.iter().rposition(|&y| y <= LEFT);
    match below {
        None => x.first().copied(),
        Some(place) if place + 1 == y.len() => None,
        Some(place) => {
            // Logarithmic in both; where the minimum is 0 the excess is boundless.
            let [from, to] = [y[place], y[place + 1]].map(|y| (y / LEFT).clamp(1e-300, 1e300).ln());
            let share = from / (from - to);
            Some(x[place] * (x[place + 1] / x[place]).powf(share))
        }
    }
}

fn departures(folder: &mut PageFolder, levels: &Levels, learned: &[Learned]) -> Result<()> {
    folder.section("Where the network leaves the minimum");
    let mut table = Table::new(["training items", "updates", "leaves the minimum below"]);
    let mut chart = Chart::new("Where the network leaves the minimum")
        .x(Axis::log("updates"))
        .y(Axis::log("noise level σ"));
    let mut last = Vec::new();
    for found in learned {
        let mut points = Vec::new();
        for (updates, losses) in &found.losses {
            let left = departure(levels, losses);
            let shown = left.map_or("nowhere".into(), |sigma| sigma.into());
            table.row([found.count.into(), (*updates as f64).into(), shown]);
            points.extend(left.map(|sigma| (*updates as f64, sigma)));
        }
        last.push(points.last().map(|point| point.1));
        chart = chart.series(Series::line_points(
            format!("{} items", found.count),
            points,
        ));
    }
    folder.paragraph(&sentence(levels, learned, &last));
    folder.chart(
        "departure",
        &chart,
        "The noise level below which the loss is more than twice its minimum, as training goes on. \
         Above it the network's loss is near that of the exact denoiser.",
    )?;
    folder.table("departures", &table)
}

fn sentence(levels: &Levels, learned: &[Learned], last: &[Option<f64>]) -> String {
    let of = |(found, sigma): (&Learned, &Option<f64>)| match sigma {
        Some(sigma) => format!("on {} items at σ = {sigma:.3}", found.count),
        None => format!("on {} items nowhere", found.count),
    };
    let parts: Vec<String> = learned.iter().zip(last).map(of).collect();
    let far = |sigma: &f64| (sigma / CLEAR).ln().abs();
    let sigmas = levels.as_slice().iter().enumerate();
    let nearest = sigmas.min_by(|a, b| far(a.1).total_cmp(&far(b.1)));
    let (place, clear) = nearest.map_or((0, CLEAR), |(place, &sigma)| (place, sigma));
    let share = |found: &Learned| {
        let losses = found.last().get(place);
        losses.map_or(f64::NAN, |l| 100.0 * l.training() / l.held_out.value)
    };
    let shares = learned
        .iter()
        .map(|found| format!("{:.1} % after training on {}", share(found), found.count));
    format!(
        "After all updates the network's loss reaches twice the minimum {}. Longer training moves \
         this level down, towards the minimum. It is lower for the larger set only because the \
         minimum itself falls at less noise. What the network does below tells whether it copies: \
         at σ = {clear:.2} its loss on training items is, of that on held-out items, {}. Near 100 % \
         it has learned what digits look like; near 0, its items by heart.",
        parts.join(", "),
        shares.collect::<Vec<_>>().join(", ")
    )
}

fn numbers(levels: &Levels, learned: &[Learned]) -> Table {
    let mut table = Table::new([
        "training items",
        "updates",
        "sigma",
        "minimum",
        "excess",
        "training",
        "held-out",
        "exact on held-out",
    ]);
    for found in learned {
        for (updates, losses) in &found.losses {
            for (&sigma, losses) in levels.as_slice().iter().zip(losses) {
                table.row([
                    found.count.into(),
                    (*updates as f64).into(),
                    sigma.into(),
                    losses.minimum.into(),
                    losses.excess.into(),
                    losses.training().into(),
                    losses.held_out.into(),
                    losses.exact_held_out.into(),
                ]);
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crossing_is_interpolated_in_logarithms() {
        let x = [8.0, 4.0, 2.0, 1.0];
        // From 1/4 to 4 between 4 and 2: at their geometric mean.
        let found = crossing(&x, &[2.0, 0.25, 4.0, 9.0]).unwrap();
        assert!((found - 8f64.sqrt()).abs() < 1e-12, "{found}");
        assert_eq!(crossing(&x, &[0.1; 4]), None);
        assert_eq!(crossing(&x, &[2.0; 4]), Some(8.0));
        let boundless = crossing(&x, &[0.0, 0.5, f64::INFINITY, f64::INFINITY]).unwrap();
        assert!(boundless > 3.9 && boundless < 4.0, "{boundless}");
    }
}
