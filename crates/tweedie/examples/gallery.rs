//! Draws one of each kind of picture into the folder given as the first argument.

use std::path::PathBuf;

use tweedie::Result;
use tweedie::report::{Axis, Chart, Cloud, Grid, Page, Picture, Scatter, Series};

/// A small random number generator, so that the gallery needs no dependency.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

fn loss(random: &mut Random) -> Chart {
    let truth = |step: f64| 0.18 + 0.9 / (1.0 + step / 40.0).powf(0.6);
    let train = (0..20_000).map(|i| {
        let step = f64::from(i);
        (step, truth(step) * (1.0 + 0.12 * random.normal()).max(0.1))
    });
    let train = Series::line("train, each step", train.collect::<Vec<_>>()).color([168, 203, 226]);
    let smooth: Vec<_> = (0..20_000)
        .step_by(20)
        .map(|i| (f64::from(i), truth(f64::from(i))))
        .collect();
    let valid = (0..9).map(|i| {
        let step = 10f64.powf(0.55 * f64::from(i));
        (step, truth(step) * 1.04)
    });
    Chart::new("Training loss")
        .x(Axis::log("step"))
        .y(Axis::linear("weighted denoising loss"))
        .series(train)
        .series(Series::line("train, running mean", smooth).color([0, 114, 178]))
        .series(Series::line_points("validation", valid).color([213, 94, 0]))
        .note("digits · 8×8 · 20000 steps · batch 128 · Adam, lr 10⁻³ · EMA 0.999")
}

fn noise(random: &mut Random) -> Chart {
    let sigma = |i: u32| 50.0 * (0.01f64 / 50.0).powf(f64::from(i) / 99.0);
    let cas = (0..100)
        .map(|i| (f64::from(i), sigma(i) * (1.0 + 0.01 * random.normal())))
        .collect::<Vec<_>>();
    let band = cas
        .iter()
        .map(|&(i, s)| (i, s * 0.86, s * 1.16))
        .collect::<Vec<_>>();
    let als = (0..100).map(|i| (f64::from(i), (sigma(i).powi(2) * 1.6 + 0.002).sqrt()));
    Chart::new("Noise level during sampling: measured against scheduled")
        .x(Axis::linear("sampling step"))
        .y(Axis::log("noise level σ"))
        .series(Series::line("consistent annealed sampling", cas).band(band))
        .series(Series::line("annealed Langevin", als))
        .series(Series::dashed("schedule σᵢ", (0..100).map(|i| (f64::from(i), sigma(i)))).color([60, 60, 60]))
        .note("Measured as the standard deviation of x − D(x, σ) over 256 samples; band: 5 % to 95 %.")
}

fn per_level() -> Chart {
    let levels: Vec<f64> = (0..10)
        .map(|i| 0.01 * 5000f64.powf(f64::from(i) / 9.0))
        .collect();
    let at = |k: f64| {
        levels
            .iter()
            .map(|s| {
                (
                    *s,
                    k * s.powi(2) / (s * s + 0.3) * (1.0 + 0.2 / s).powf(0.4),
                )
            })
            .collect::<Vec<_>>()
    };
    let band: Vec<_> = at(1.0)
        .iter()
        .map(|&(x, y)| (x, y * 0.7, y * 1.35))
        .collect();
    Chart::new("Loss per noise level")
        .x(Axis::log("noise level σ"))
        .y(Axis::log("mean squared error of D(x, σ)"))
        .series(Series::line_points("before training", at(4.0)))
        .series(Series::line_points("after 20000 steps", at(1.0)).band(band))
        .series(Series::dashed("optimal denoiser", at(0.62)).color([60, 60, 60]))
}

fn histogram(random: &mut Random) -> Chart {
    let mut counts = [0.0; 40];
    (0..20_000)
        .for_each(|_| counts[((random.normal() * 5.0 + 20.0) as usize).min(39)] += 1.0 / 4000.0);
    let centre = |i: usize| (i as f64 - 19.5) / 5.0;
    let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    Chart::new("Residual z = (x − D(x, σ)) / σ")
        .x(Axis::linear("z"))
        .y(Axis::linear("density"))
        .series(Series::bars(
            "measured",
            counts.iter().enumerate().map(|(i, &c)| (centre(i), c)),
        ))
        .series(Series::line(
            "standard normal",
            (-40..=40).map(|i| (f64::from(i) / 10.0, density(f64::from(i) / 10.0))),
        ))
}

fn moons(random: &mut Random, n: usize, noise: f64) -> Vec<[f64; 2]> {
    (0..n)
        .map(|i| {
            let t = std::f64::consts::PI * random.uniform();
            let (x, y) = if i % 2 == 0 {
                (t.cos(), t.sin())
            } else {
                (1.0 - t.cos(), 0.5 - t.sin())
            };
            [x + noise * random.normal(), y + noise * random.normal()]
        })
        .collect()
}

fn clouds(random: &mut Random) -> Scatter {
    Scatter::new("Two moons: data and samples")
        .cloud(Cloud::new("data", moons(random, 4000, 0.06)))
        .cloud(Cloud::new("annealed Langevin", moons(random, 4000, 0.14)))
        .cloud(Cloud::new("consistent annealed", moons(random, 4000, 0.07)))
}

fn trajectories(random: &mut Random) -> Scatter {
    let data = moons(random, 1500, 0.05);
    let mut paths = |jitter: f64| -> Vec<Vec<[f64; 2]>> {
        (0..10)
            .map(|i| {
                let (end, start) = (data[i * 3], [3.0 * random.normal(), 3.0 * random.normal()]);
                (0..=60)
                    .map(|k| {
                        let t = (f64::from(k) / 60.0).powf(0.6);
                        let j = jitter * (1.0 - t);
                        [0, 1].map(|a| start[a] * (1.0 - t) + end[a] * t + j * random.normal())
                    })
                    .collect()
            })
            .collect()
    };
    let (rough, even) = (paths(0.35), paths(0.0));
    Scatter::new("Trajectories from noise to data")
        .cloud(Cloud::new("annealed Langevin", data.clone()).paths(rough))
        .cloud(Cloud::new("consistent annealed", data).paths(even))
        .range(-4.0, 5.0)
}

fn digits() -> Result<Picture> {
    let ring = |digit: usize, y: f64, x: f64| {
        let (y, x) = (y - 3.5, x - 3.5);
        let r = (y * y + x * x * (1.4 + 0.2 * digit as f64)).sqrt();
        (255.0 * (-(r - 2.8).powi(2) * 1.6).exp()) as u8
    };
    let images: Vec<u8> = (0..50)
        .flat_map(|k| (0..64).map(move |i| ring(k % 10, (i / 8) as f64, (i % 8) as f64)))
        .collect();
    let labels = ["σ = 50", "σ = 5", "σ = 0.5", "σ = 0.05", "data"];
    Grid::new([1, 8, 8])
        .columns(10)
        .row_labels(labels)
        .render(&images)
}

fn main() -> Result<()> {
    let out = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "gallery".into()));
    let mut random = Random(7);
    let (loss, noise, per_level) = (loss(&mut random), noise(&mut random), per_level());
    let histogram = histogram(&mut random);
    let (clouds, trajectories, digits) =
        (clouds(&mut random), trajectories(&mut random), digits()?);
    for (name, chart) in [
        ("loss", &loss),
        ("noise", &noise),
        ("per-level", &per_level),
        ("histogram", &histogram),
    ] {
        chart
            .png(900, 560)?
            .save_png(out.join(format!("{name}.png")))?;
        tweedie::write_atomic(
            &out.join(format!("{name}.svg")),
            chart.svg(900, 560)?.as_bytes(),
        )?;
    }
    Chart::new("Nothing yet")
        .x(Axis::log("step"))
        .y(Axis::linear("loss"))
        .png(600, 360)?
        .save_png(out.join("empty.png"))?;
    noise.png(420, 320)?.save_png(out.join("small.png"))?;
    clouds.png(300)?.save_png(out.join("clouds.png"))?;
    trajectories
        .png(420)?
        .save_png(out.join("trajectories.png"))?;
    digits.save_png(out.join("digits.png"))?;
    let rows = vec![
        vec!["annealed Langevin", "0.0182 ± 0.0011", "2.14", "1.9 s"],
        vec![
            "consistent annealed sampling",
            "0.0049 ± 0.0004",
            "1.37",
            "1.9 s",
        ],
    ];
    Page::new("Digits, 8×8: run 7")
        .lead("A noise-conditional score network trained on 1797 handwritten digits, and two samplers compared at equal cost.")
        .section("Samples")
        .figure_pixels(&digits, "Samples at five noise levels, from the first to the last.", "Grid of digits")?
        .table(&["sampler", "residual noise", "distance", "time"], &rows)
        .section("Training")
        .paragraph("The loss is weighted by 1/σ², so all noise levels count alike.")
        .figure_svg(&loss.svg(900, 560)?, "Loss over the steps.", "Loss falls from 1.1 to 0.2")
        .figure(&noise.png(900, 560)?, "Noise level at each step.", "Measured noise follows the schedule")?
        .section("Two dimensions")
        .figure(&clouds.png(300)?, "4000 points each.", "Three point clouds")?
        .section("Again")
        .code("tweedie train --data digits --steps 20000 --seed 7\ntweedie sample --sampler cas --n 50")
        .save(out.join("page.html"))
}
