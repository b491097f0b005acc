//! The relations, sample by sample on the same noise.

use super::{SIGMA, target};
use crate::{PageFolder, StudyOptions, Table};
use tweedie::Result;
use tweedie::noise::{Coordinates, Levels, Path, Step};
use tweedie::random::{NoiseSource, Stream};
use tweedie::report::{Axis, Chart, Series};
use tweedie::sample::{
    Cas, Churn, Heun, Linear, Sampler, StepSize, StepView, Trajectory, Update, Variance, ancestral,
    ddim, run,
};

const TEXT: &str = "Serra et al. derive that eps_c = 2 is, in the limit of many steps, the \
    predictor of score_sde, and what the two end points of the range are. Two samplers that are \
    identical give the same samples from the same noise, whatever the number of steps. The table \
    has the largest difference over all samples and steps, in units of the noise at that step.";

/// Steps of the comparison.
const STEPS: usize = 16;

/// The section on relations of Serra et al. 2021, and which of them are exact.
pub fn section(folder: &mut PageFolder, options: &StudyOptions) -> Result<()> {
    folder.section("Relations");
    folder.paragraph(TEXT);
    let levels = Levels::geometric(SIGMA.0, SIGMA.1, STEPS)?;
    let (ve, vp) = (
        Path::new(&levels, Coordinates::Ve),
        Path::new(&levels, Coordinates::Vp),
    );
    let cas = |eps_c| Cas::new(&levels, StepSize::EpsC(eps_c));
    let mut table = Table::new(["eps_c", "identical to", "largest difference"]);
    let mut compare = |eps_c: f64, name: &str, mut other: Box<dyn Sampler>| -> Result<()> {
        let ours = paths(&mut cas(eps_c)?, options.seed)?;
        let theirs = paths(other.as_mut(), options.seed)?;
        let scale = |i: usize| ours.noise()[i / ours.rows().len()].max(SIGMA.1);
        let differences = ours.points().iter().zip(theirs.points()).enumerate();
        let largest = differences
            .map(|(i, (a, b))| (a - b).abs() / scale(i))
            .fold(0.0, f64::max);
        let eps_c = match eps_c.is_finite() {
            true => eps_c.to_string(),
            false => "∞".into(),
        };
        table.row([eps_c.into(), name.into(), largest.into()]);
        Ok(())
    };
    compare(
        1.0,
        "DDIM, eta = 0, in VP coordinates",
        Box::new(ddim(&vp, 0.0)?),
    )?;
    compare(1.0, "EDM's Euler step", Box::new(euler(&levels)))?;
    compare(
        2.0,
        "ancestral sampler of the VE process",
        Box::new(ancestral(&ve, Variance::FixedSmall)?),
    )?;
    compare(
        2.0,
        "DDPM's ancestral sampler, fixed-small, in VP coordinates",
        Box::new(ancestral(&vp, Variance::FixedSmall)?),
    )?;
    compare(2.0, "DDIM, eta = 1", Box::new(ddim(&vp, 1.0)?))?;
    compare(
        f64::INFINITY,
        "denoise, then add fresh noise",
        Box::new(renoise(&ve)),
    )?;
    // For contrast: similar samplers that are not identical.
    compare(
        2.0,
        "for contrast: DDIM, eta = 0",
        Box::new(ddim(&vp, 0.0)?),
    )?;
    let heun = Heun::new(levels.clone(), Churn::default())?;
    compare(1.0, "for contrast: Heun's method", Box::new(heun))?;
    folder.table("relations", &table)?;
    folder.chart(
        "trajectories",
        &trajectories(&levels, options.seed)?,
        TRAJECTORIES,
    )?;
    folder.chart("ddim-eta", &etas()?, ETAS)?;
    Ok(())
}

const TRAJECTORIES: &str = "The expected denoised sample at each step, all from the same initial \
    state and noise. With eps_c = 1 the sampler is deterministic; larger values add a growing share \
    of fresh noise at each step.";

const ETAS: &str = "CAS at any eps_c is DDIM with eta = beta/sqrt(1 - gamma^2): below 2 between \
    deterministic and ancestral, above 2 beyond the range that DDIM's authors use. The same eps_c \
    corresponds to different eta at different numbers of steps N.";

/// EDM's Algorithm 1 with Euler steps: x + (sigma' - sigma) (x - H)/sigma.
fn euler(levels: &Levels) -> Linear {
    let path = Path::new(levels, Coordinates::Ve);
    let update = |step: Step| {
        let slope = (step.to.sigma - step.from.sigma) / step.from.sigma;
        Update {
            from: step.from,
            to: step.to,
            a: 1.0 + slope,
            b: -slope,
            c: 0.0,
        }
    };
    Linear::new(path.steps().map(update).collect())
}

/// H + sigma' z.
fn renoise(path: &Path) -> Linear {
    let update = |step: Step| Update {
        from: step.from,
        to: step.to,
        a: 0.0,
        b: 1.0,
        c: step.to.sigma,
    };
    Linear::new(path.steps().map(update).collect())
}

/// All paths of 1000 samples.
fn paths(sampler: &mut dyn Sampler, seed: u64) -> Result<Trajectory> {
    let samples: Vec<u64> = (0..1000).collect();
    let mut path = Trajectory::new((0..samples.len()).collect());
    let source = NoiseSource::new(seed, Stream::Sampling);
    run(&target()?, sampler, &source, &samples, &mut path)?;
    Ok(path)
}

fn trajectories(levels: &Levels, seed: u64) -> Result<Chart> {
    let mut chart = Chart::new("The expected denoised sample at each step")
        .x(Axis::linear("step"))
        .y(Axis::linear("H"));
    let source = NoiseSource::new(seed, Stream::Sampling);
    for eps_c in [1.0, 1.5, 2.0, 4.0, f64::INFINITY] {
        let mut points = Vec::new();
        let mut look = |view: &StepView<'_>| {
            points.push((view.step as f64, view.denoised[0]));
        };
        let mut cas = Cas::new(levels, StepSize::EpsC(eps_c))?;
        run(&target()?, &mut cas, &source, &[1], &mut look)?;
        let label = match eps_c.is_finite() {
            true => format!("eps_c = {eps_c}"),
            false => "eps_c = ∞".into(),
        };
        chart = chart.series(Series::line_points(label, points));
    }
    Ok(chart)
}

fn etas() -> Result<Chart> {
    let mut chart = Chart::new("CAS as DDIM")
        .x(Axis::linear("eps_c").range(1.0, 6.0))
        .y(Axis::linear("eta of DDIM").range(0.0, 1.5));
    for n in [4, 8, 32, 256] {
        let levels = Levels::geometric(SIGMA.0, SIGMA.1, n)?;
        let mut points = Vec::new();
        for i in 0..=200 {
            let eps_c = 1.0 + 0.025 * f64::from(i);
            let cas = Cas::new(&levels, StepSize::EpsC(eps_c))?;
            let step = cas.coefficients()[0];
            let gamma = step.sigma_next / step.sigma;
            points.push((eps_c, step.beta / (1.0 - gamma * gamma).sqrt()));
        }
        chart = chart.series(Series::line(format!("N = {n}"), points));
    }
    Ok(chart)
}
