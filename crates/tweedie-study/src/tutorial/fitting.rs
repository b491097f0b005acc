//! Training: the tutorial's recipe and variants, the losses, and the learned score.

use super::loss::{ExactLoss, held_out};
use super::{BLUE, GREEN, INK, PALE, POINTS, RED, Tutorial};
use crate::fit::Fit;
use crate::{PageFolder, Table};
use tweedie::Result;
use tweedie::nn::layers::Activation;
use tweedie::nn::{MlpConfig, NetworkConfig, NetworkDenoiser, Preconditioning, SigmaInput};
use tweedie::report::{Axis, Chart, Series};
use tweedie::score::Denoiser;
use tweedie::train::{LearningRateSchedule, TrainConfig};

/// A training recipe.
struct Recipe {
    name: &'static str,
    /// Points of data.
    points: usize,
    /// Updates, each on 16 x 1024 pairs.
    epochs: u64,
    schedule: LearningRateSchedule,
    /// Whether the moving average of the weights is used.
    averaged: bool,
}

/// The tutorial's first; the others show how much it can be improved.
const RECIPES: [Recipe; 5] = [
    Recipe {
        name: "tutorial: 1000 epochs, constant rate",
        points: POINTS,
        epochs: 1000,
        schedule: LearningRateSchedule::Constant,
        averaged: false,
    },
    Recipe {
        name: "the same, moving average 0.99",
        points: POINTS,
        epochs: 1000,
        schedule: LearningRateSchedule::Constant,
        averaged: true,
    },
    Recipe {
        name: "1000 epochs, cosine",
        points: POINTS,
        epochs: 1000,
        schedule: LearningRateSchedule::Cosine,
        averaged: false,
    },
    Recipe {
        name: "4000 epochs, cosine",
        points: POINTS,
        epochs: 4000,
        schedule: LearningRateSchedule::Cosine,
        averaged: false,
    },
    Recipe {
        name: "4000 updates, cosine, 65536 points",
        points: 65_536,
        epochs: 4000,
        schedule: LearningRateSchedule::Cosine,
        averaged: false,
    },
];

/// The result of the tutorial's recipe.
pub struct Fitted {
    /// The network.
    pub network: NetworkDenoiser,
    /// The network at some epochs, from 0 to the last.
    pub snapshots: Vec<(u64, NetworkDenoiser)>,
}

/// Frames of the training, denser where it moves fast.
const SNAPSHOTS: u64 = 40;

/// Fresh points for the loss.
const FRESH: usize = 65_536;

/// The training losses of a recipe, and its expected loss along the way.
#[derive(Default)]
struct Curves {
    training: Vec<(f64, f64)>,
    expected: Vec<(f64, f64)>,
}

pub fn section(folder: &mut PageFolder, tutorial: &mut Tutorial<'_, '_>) -> Result<Fitted> {
    let exact = ExactLoss::new(&tutorial.distribution, &tutorial.levels)?;
    let quick = tutorial.options.quick;
    let (divisor, fresh) = if quick { (20, 4096) } else { (1, FRESH) };
    let mut table = Table::new(["recipe", "fresh noise", "integral", "above the minimum"]);
    let mut kept = None;
    for recipe in &RECIPES {
        let epochs = recipe.epochs / divisor;
        let first = kept.is_none();
        let (network, snapshots, curves, parameters) =
            train(tutorial, recipe, epochs, first.then_some(&exact))?;
        let (distribution, levels) = (&tutorial.distribution, &tutorial.levels);
        let drawn = held_out(&network, distribution, levels, fresh, tutorial.options.seed)?;
        let loss = exact.of(&network)?;
        let above = format!("{:.2} %", 100.0 * (loss / exact.optimum() - 1.0));
        table.row([recipe.name.into(), drawn.into(), loss.into(), above.into()]);
        if first {
            kept = Some((Fitted { network, snapshots }, curves, parameters));
        }
    }
    let none = "Bayes-optimal network";
    table.row([none.into(), "".into(), exact.optimum().into(), "".into()]);
    let Some((fitted, curves, parameters)) = kept else {
        unreachable!("there are recipes")
    };
    folder.section("Training");
    folder.paragraph(&format!(
        "One hidden layer of 64 units, ReLU, {parameters} parameters; its inputs are x and sigma, \
         its output is the score. The loss is the mean of sigma^2 (s^ - s)^2/2 with s the score of \
         the noise kernel. As in the tutorial, Adam runs at a learning rate of 0.01, with one \
         update per epoch on 16 x 1024 pairs of a point and a level. There are three differences: \
         each pair has its own noise, where the tutorial draws one noise per point and epoch and \
         shares it among the levels (the loss has the same mean and a smaller variance); the \
         levels are drawn at random, so a point may meet the same level more than once; and the \
         initial weights follow PyTorch, not Lux."
    ));
    losses(folder, &exact, &curves)?;
    folder.paragraph(
        "Expected losses under the data distribution, not on the training points: estimated on \
         fresh points under fresh noise at all 16 levels, and as an integral, \
         1/2 (1 - sigma^2 E s^2) + 1/2 sigma^2 E (s^ - s)^2 averaged over the levels. The first \
         term is the minimum, which no network can go below.",
    );
    folder.table("recipes", &table)?;
    folder.paragraph(&format!(
        "The tutorial's recipe ends {:.2} % above the minimum. At a constant learning rate the \
         weights fluctuate from epoch to epoch, and so does that excess; averaging the weights or \
         decaying the learning rate removes the fluctuation. With many more points than 1024 the \
         same network comes closer, so the rest of the excess is due to the size of the data set.",
        100.0 * (exact.of(&fitted.network)? / exact.optimum() - 1.0)
    ));
    score(folder, tutorial, &fitted.network)?;
    Ok(fitted)
}

type Trained = (NetworkDenoiser, Vec<(u64, NetworkDenoiser)>, Curves, usize);

/// Trains by `recipe`; with `watch`, keeps snapshots and the expected loss along the way.
fn train(
    tutorial: &mut Tutorial<'_, '_>,
    recipe: &Recipe,
    epochs: u64,
    watch: Option<&ExactLoss>,
) -> Result<Trained> {
    let network = NetworkConfig {
        preconditioning: Preconditioning::Score,
        mlp: Some(MlpConfig {
            hidden: vec![64],
            activation: Activation::Relu,
            sigma_input: SigmaInput::Sigma,
        }),
        ..NetworkConfig::default()
    };
    let config = TrainConfig {
        steps: epochs,
        batch: POINTS * tutorial.levels.len(),
        lr: 0.01,
        schedule: recipe.schedule,
        ema: 0.99,
        ..TrainConfig::default()
    };
    let seed = tutorial.options.seed;
    let points = super::points(recipe.points, seed)?;
    let mut fit = Fit::new(&points, &tutorial.levels, &network, &config, seed)?;
    let mut curves = Curves::default();
    let mut snapshots = Vec::new();
    // Epochs (k/SNAPSHOTS)^2 of the way.
    let mut stops: Vec<u64> = (0..=SNAPSHOTS)
        .map(|k| (epochs * k * k).div_ceil(SNAPSHOTS * SNAPSHOTS))
        .collect();
    stops.dedup();
    if watch.is_none() {
        stops = vec![epochs];
    }
    for stop in stops {
        fit.finish(stop, &mut |done, loss| {
            curves.training.push((done as f64, loss));
            tutorial.monitor.step(recipe.name, done, epochs, "updates")
        })?;
        if let Some(exact) = watch {
            let network = fit.denoiser()?;
            curves.expected.push((stop as f64, exact.of(&network)?));
            snapshots.push((stop, network));
        }
    }
    let network = match recipe.averaged {
        true => fit.average()?,
        false => fit.denoiser()?,
    };
    Ok((network, snapshots, curves, fit.parameters()))
}

fn losses(folder: &mut PageFolder, exact: &ExactLoss, curves: &Curves) -> Result<()> {
    let last = curves.training.last().map_or(1.0, |p| p.0);
    let minimum = [(0.0, exact.optimum()), (last, exact.optimum())];
    let chart = Chart::new("Losses over the epochs, the tutorial's recipe")
        .x(Axis::linear("epoch"))
        .y(Axis::linear("loss").range(0.27, 0.4))
        .series(Series::line("training, 16 x 1024 pairs", curves.training.clone()).color(PALE))
        .series(Series::line("expected (integral)", curves.expected.clone()).color(RED))
        .series(Series::dashed("minimum", minimum).color(INK));
    let caption = format!(
        "The training loss fluctuates with the noise that is drawn; the expected loss shows what \
         the network has learned. Its minimum is {:.5}. Losses above 0.4, in the first epochs, are \
         not shown.",
        exact.optimum()
    );
    folder.chart("losses", &chart, &caption)?;
    let mut table = Table::new(["epoch", "training loss", "expected loss"]);
    let mut expected = curves.expected.iter().peekable();
    while expected.peek().is_some_and(|p| p.0 < 1.0) {
        expected
            .next()
            .inspect(|p| table.row([p.0.into(), "".into(), p.1.into()]));
    }
    for &(epoch, loss) in &curves.training {
        let here = match expected.next_if(|p| p.0 == epoch) {
            Some(p) => p.1.into(),
            None => "".into(),
        };
        table.row([epoch.into(), loss.into(), here]);
    }
    folder.data("losses", &table)
}

fn score(
    folder: &mut PageFolder,
    tutorial: &Tutorial<'_, '_>,
    network: &dyn Denoiser,
) -> Result<()> {
    let grid: Vec<f64> = (0..=320).map(|i| -8.0 + 0.05 * f64::from(i)).collect();
    let line = |denoiser: &dyn Denoiser, sigma: f64| {
        let mut score = vec![0.0; grid.len()];
        denoiser.score_at(&grid, sigma, &mut score)?;
        Ok::<_, tweedie::Error>(grid.iter().copied().zip(score).collect::<Vec<_>>())
    };
    let mut chart = Chart::new("The score, true and learned")
        .x(Axis::linear("x"))
        .y(Axis::linear("score"));
    let shown = [(2.0, BLUE), (1.0472941228206267, GREEN), (0.5, RED)];
    for (sigma, color) in shown {
        let (truth, learned) = (line(&tutorial.distribution, sigma)?, line(network, sigma)?);
        let label = format!("learned, sigma = {sigma:.2}");
        chart = chart
            .series(Series::dashed("", truth).color(color))
            .series(Series::line(label, learned).color(color));
    }
    chart = chart.series(Series::dashed("true", []).color(INK));
    let caption = "Dashed: the score of the noised distribution. The network is accurate where the \
                   density is high, and least accurate between the modes, where there are few \
                   points.";
    folder.chart("score", &chart, caption)
}
