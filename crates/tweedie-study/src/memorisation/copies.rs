//! Samples of the networks and of the exact denoisers, and whether they are copies.

use super::sets::{DIM, Items, Sets};
use super::training::Learned;
use super::{SIGMA, Size};
use crate::{PageFolder, Table};
use tweedie::Result;
use tweedie::data::digits::SIDE;
use tweedie::job::Monitor;
use tweedie::measure::{
    Features, Memorisation, NearestItem, Proportion, memorisation, nearest_items,
};
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::report::{Axis, Chart, Color, Grid, PALETTE, Series};
use tweedie::sample::{Cas, StepSize, StepView, run};
use tweedie::score::Denoiser;

/// Samples in the pictures, and the enlargement of their pixels.
const SHOWN: usize = 16;
const SCALE: usize = 6;

/// A sample is called a copy where its nearest item is this much nearer than the second nearest
/// (Yoon et al. 2023).
const COPY: f64 = 1.0 / 3.0;

const HELD_OUT: &str = "held-out items";

const GREY: Color = [120, 120, 120];

/// Items that are compared with a training set.
struct Compared {
    of: &'static str,
    training: usize,
    nearest: Vec<NearestItem>,
    /// None of the held-out items, which are what samples are tested against.
    test: Option<Memorisation>,
}

impl Compared {
    fn new(
        of: &'static str,
        items: &[f64],
        training: &Items,
        held_out: Option<&Items>,
    ) -> Result<Self> {
        let rows = |values| Features::new("the items", values, DIM);
        let (items, known) = (rows(items)?, rows(&training.values)?);
        let test = held_out.map(|held_out| memorisation(items, known, rows(&held_out.values)?));
        Ok(Self {
            of,
            training: training.len(),
            nearest: nearest_items(items, known)?,
            test: test.transpose()?,
        })
    }

    fn ratios(&self) -> Vec<f64> {
        let mut ratios: Vec<f64> = self.nearest.iter().map(NearestItem::ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }
}

pub fn sections(
    folder: &mut PageFolder,
    sets: &Sets,
    learned: &[Learned],
    size: &Size,
    seed: u64,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    let held_out = &sets.held_out;
    let mut compared = Vec::new();
    folder.section("Samples, and the training items nearest to them");
    folder.paragraph(&format!(
        "Drawn by consistent annealed sampling with eps_c = 2 and {} geometric noise levels; the \
         expected denoised samples, at equal seeds for all four denoisers. The first {SHOWN} seeds, \
         not chosen.",
        size.steps
    ));
    for (training, found) in sets.training.iter().zip(learned) {
        let count = training.len();
        let mut rows = Vec::new();
        let denoisers: [(&str, &dyn Denoiser); 2] = [
            ("network", &found.network),
            ("exact denoiser", &found.exact),
        ];
        for (name, denoiser) in denoisers {
            let what = format!("sampling, {name} of {count}");
            let samples = draw(denoiser, size, seed, &what, monitor)?;
            let item = Compared::new(name, &samples, training, Some(held_out))?;
            rows.extend(bytes(&samples, 0..SHOWN));
            rows.extend(bytes(
                &training.values,
                item.nearest.iter().map(|n| n.index).take(SHOWN),
            ));
            compared.push(item);
        }
        compared.push(Compared::new(HELD_OUT, &held_out.values, training, None)?);
        let labels = ["network", "nearest item", "exact denoiser", "nearest item"];
        let grid = Grid::new([1, SIDE, SIDE])
            .columns(SHOWN.min(size.samples))
            .scale(SCALE)
            .gap(4);
        let picture = grid.row_labels(labels).render(&rows)?;
        let caption = format!(
            "Trained on {count} items: samples, and below each the nearest of the {count}."
        );
        folder.pixels(&format!("samples-{count}"), &picture, &caption)?;
    }
    ratios(folder, &compared)?;
    test(folder, &compared, sets)
}

/// Samples of `denoiser`, `[n, 64]`.
fn draw(
    denoiser: &dyn Denoiser,
    size: &Size,
    seed: u64,
    what: &str,
    monitor: &mut Monitor<'_>,
) -> Result<Vec<f64>> {
    monitor.go_on()?;
    let levels = Levels::geometric(SIGMA.0, SIGMA.1, size.steps)?;
    let mut cas = Cas::new(&levels, StepSize::EpsC(2.0))?;
    let source = NoiseSource::new(seed, Stream::Sampling);
    let seeds: Vec<u64> = (0..size.samples as u64).collect();
    let mut watch = |view: &StepView| {
        monitor.at(what, view.step as u64 + 1, view.steps as u64, "steps");
    };
    Ok(run(denoiser, &mut cas, &source, &seeds, &mut watch)?.denoised)
}

/// Rows of items with values 0 to 1 as pixels.
fn bytes(items: &[f64], rows: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let rows = rows
        .into_iter()
        .filter_map(|row| items.get(row * DIM..(row + 1) * DIM));
    rows.flatten()
        .map(|value| (255.0 * value).round().clamp(0.0, 255.0) as u8)
        .collect()
}

fn ratios(folder: &mut PageFolder, compared: &[Compared]) -> Result<()> {
    folder.section("Distances to the nearest training item");
    let mut chart = Chart::new("How near the nearest training item is")
        .x(
            Axis::linear("distance to the nearest item, relative to the second nearest")
                .range(0.0, 1.0),
        )
        .y(Axis::linear("share of items below").range(0.0, 1.0));
    let mut table = Table::new(["of", "training items", "ratio", "share below"]);
    for item in compared {
        let ratios = item.ratios();
        let n = ratios.len() as f64;
        let share = |i: usize| (i + 1) as f64 / n;
        for (i, &ratio) in ratios.iter().enumerate() {
            table.row([
                item.of.into(),
                item.training.into(),
                ratio.into(),
                share(i).into(),
            ]);
        }
        let steps = ratios
            .iter()
            .enumerate()
            .map(|(i, &ratio)| (ratio, share(i)));
        let points = [(0.0, 0.0)].into_iter().chain(steps).chain([(1.0, 1.0)]);
        let many = item.training != super::sets::TRAINING[0];
        let label = format!("{}, {}", item.of, item.training);
        let series = match item.of {
            "network" => Series::step(label, points).color(PALETTE[usize::from(many)]),
            HELD_OUT => {
                let color = if many {
                    [240, 190, 150]
                } else {
                    [140, 190, 225]
                };
                Series::step(label, points).color(color)
            }
            // Both are at 0.
            _ if many => continue,
            _ => Series::step("exact denoisers", points).color(GREY),
        };
        chart = chart.series(series);
    }
    folder.chart(
        "ratios",
        &chart,
        "The share of samples whose ratio is below that on the horizontal axis. Copies have a ratio \
         near 0; held-out items show what is usual where nothing was copied.",
    )?;
    folder.data("ratios", &table)
}

fn test(folder: &mut PageFolder, compared: &[Compared], sets: &Sets) -> Result<()> {
    folder.section("The memorisation test");
    folder.paragraph(&format!(
        "The probability that a sample is nearer to its nearest training item than one of the {} \
         held-out items is to its own: 1/2 for a perfect model, more for one that copies, less for one that underfits. Intervals \
         are of 95 %. p is the probability of so large a figure from a perfect model. A sample is counted as a copy where the nearest \
         training item is less than a third as far as the second nearest.",
        sets.held_out.len()
    ));
    let mut table = Table::new([
        "samples of",
        "training items",
        "nearer than held-out",
        "interval",
        "p",
        "copies",
        "interval of copies",
        "median ratio",
    ]);
    for item in compared {
        let ratios = item.ratios();
        let copies = ratios.iter().filter(|&&ratio| ratio < COPY).count();
        let copies = Proportion::new(copies as u64, ratios.len() as u64);
        let [nearer, range, p] = match &item.test {
            Some(test) => {
                let range = test.nearer.interval().map(|end| end.clamp(0.0, 1.0));
                [
                    test.nearer.into(),
                    interval(range).into(),
                    test.p_value.into(),
                ]
            }
            None => [0.5.into(), "by definition".into(), "".into()],
        };
        table.row([
            item.of.into(),
            item.training.into(),
            nearer,
            range,
            p,
            copies.value.into(),
            interval(copies.interval).into(),
            ratios[ratios.len() / 2].into(),
        ]);
    }
    folder.table("test", &table)
}

fn interval([low, high]: [f64; 2]) -> String {
    format!("{low:.3} to {high:.3}")
}
