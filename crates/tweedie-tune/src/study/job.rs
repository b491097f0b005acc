//! The job `profile`: all figures of a run.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use tweedie::data::Dataset;
use tweedie::job::Monitor;
use tweedie::measure::{Features, FrechetReference, Halves, Reference};
use tweedie::noise::{Levels, LossCurve};
use tweedie::report::SavedPage;
use tweedie::run::{Model, Recipe, RunDir, SampleConfig};
use tweedie::{Error, Result};

use super::grids::grids;
use super::last_step::last_step;
use super::step_size::step_size;
use super::untuned::untuned;
use super::{Bench, GridFigure, LastStepFigure, StepSizeFigure, UntunedFigure, page};
use crate::rival::{Deviations, Trajectories};
use crate::seeds::Seeds;
use crate::{Cache, Candidate, Grid, RunSubject, Stand, Subject};

/// Which figures to make, and of what.
#[derive(Clone, Debug)]
pub struct StudyJob {
    /// Numbers of network calls of the figure of step sizes, 2 or more each.
    pub calls: Vec<usize>,
    /// The number whose best step size is used at the others.
    pub tuned_at: usize,
    /// The step sizes; infinity may be among them.
    pub eps_c: Vec<f64>,
    /// Numbers of calls at which grids are compared.
    pub grids_at: Vec<usize>,
    /// Samples of each setting.
    pub samples: u64,
    /// The number of steps of the untuned sampler; 0 leaves its comparison out.
    pub untuned: usize,
    /// The feature space.
    pub space: tweedie::run::Space,
    /// The network's denoising loss; without it, grids by the loss are left out.
    pub curve: Option<LossCurve>,
}

/// The figures of a run.
#[derive(Clone, Debug, Serialize)]
pub struct TuningStudy {
    /// Training step of the weights.
    pub step: u64,
    /// The SHA-256 of the weights.
    pub weights: Option<String>,
    /// The feature space.
    pub features: String,
    /// The data.
    pub reference: String,
    /// Items of it.
    pub items: usize,
    /// Quality against the step size.
    pub step_size: StepSizeFigure,
    /// ALS and CAS, denoised and not.
    pub last_step: LastStepFigure,
    /// Grids of noise levels.
    pub grids: GridFigure,
    /// Many untuned steps beside few tuned ones; none where it was left out.
    pub untuned: Option<UntunedFigure>,
    /// Network evaluations, remembered ones included.
    pub evaluations: u64,
    /// Seconds this call took.
    pub seconds: f64,
    /// The page.
    #[serde(flatten)]
    pub page: Option<SavedPage>,
}

/// Makes the figures of `model`, the network of `run`, against `data`, in the folder `out`.
/// Evaluations are kept in `RUN/tune`: what was stopped resumes.
///
/// # Errors
/// [`Error::Setting`] for numbers that are not possible; [`Error::Stopped`] where `monitor` says so;
/// where the system refuses.
pub fn study(
    run: &RunDir,
    model: &Model,
    data: &Dataset,
    out: &Path,
    job: &StudyJob,
    monitor: &mut Monitor<'_>,
) -> Result<TuningStudy> {
    let began = Instant::now();
    check(job)?;
    let tuned = recipes(run, model)?;
    let (subject, features) = RunSubject::against(model, &job.space, data, monitor)?;
    let (sample, dim) = (&model.config().sample, subject.dim());
    let rows = Features::new("the data", &features, dim)?;
    let halves = Halves::for_features(dim, 0);
    let reference = FrechetReference::new(Reference::Sampled(rows), halves)?;
    let cache = Cache::of_run(run)?;
    let mut stand = Stand::new(&subject, Some(cache));
    let mut bench = Bench {
        sigma: subject.sigma_range(),
        stand: &mut stand,
        reference: &reference,
        curve: job.curve.as_ref(),
    };
    let StudyJob {
        calls,
        eps_c,
        samples,
        ..
    } = job;
    let (samples, at) = (*samples, job.tuned_at);
    let step_size = step_size(&mut bench, calls, at, eps_c, samples, monitor)?;
    let last_step = last_step(&mut bench, at, eps_c, samples, monitor)?;
    let deviations = deviations(model, sample, &bench, monitor)?;
    let grids = grids(&mut bench, &job.grids_at, samples, &deviations, monitor)?;
    let untuned = match job.untuned {
        0 => None,
        steps => {
            let many = as_it_is(sample, steps, &bench, job)?;
            let many = (steps, many);
            Some(untuned(
                &mut bench, &subject, many, &tuned, samples, monitor,
            )?)
        }
    };
    let mut found = TuningStudy {
        step: model.step(),
        weights: model.digest().map(str::to_owned),
        features: job.space.to_string(),
        reference: data.name().into(),
        items: data.len(),
        step_size,
        last_step,
        grids,
        untuned,
        evaluations: stand.spent(),
        seconds: 0.0,
        page: None,
    };
    found.page = Some(page::write(out, &found, model, &subject, monitor)?);
    found.seconds = began.elapsed().as_secs_f64();
    Ok(found)
}

fn check(job: &StudyJob) -> Result<()> {
    let refuse = |name, value: String, reason: &str| Err(Error::setting(name, value, reason));
    for (name, calls) in [("calls", &job.calls), ("grids", &job.grids_at)] {
        if calls.is_empty() || calls.iter().any(|&calls| calls < 2) {
            return refuse(
                name,
                format!("{calls:?}"),
                "name numbers of calls, 2 or more each",
            );
        }
    }
    if !job.calls.contains(&job.tuned_at) {
        let reason = "is not among the numbers of calls; its best step size is used at the others";
        return refuse("tuned-at", job.tuned_at.to_string(), reason);
    }
    let ascending = job.eps_c.windows(2).all(|pair| pair[0] < pair[1]);
    if job.eps_c.len() < 3 || !ascending || job.eps_c[0] < 1.0 {
        let reason = "name three or more in ascending order, 1 or more each; inf is one";
        return refuse("eps-c", format!("{:?}", job.eps_c), reason);
    }
    Ok(())
}

/// What jumps between levels cost by trajectories of the probability flow.
fn deviations(
    model: &Model,
    sample: &SampleConfig,
    bench: &Bench<'_, '_>,
    monitor: &mut Monitor<'_>,
) -> Result<Deviations> {
    let (count, calls) = Trajectories::USUAL;
    monitor.step("trajectories of the probability flow", 0, 1, "sets")?;
    let [max, min] = bench.sigma;
    let levels = Levels::karras(max, min, calls, 7.0)?;
    let first = Seeds::Trajectories.first(0);
    Trajectories::of_run(model, sample, levels, first..first + count)?.deviations()
}

/// The run's own sampler, with so many steps.
fn as_it_is(
    sample: &SampleConfig,
    steps: usize,
    bench: &Bench<'_, '_>,
    job: &StudyJob,
) -> Result<Candidate> {
    let sample = SampleConfig {
        steps,
        sigmas: None,
        // The run's own, as where nothing is said.
        guidance: None,
        ..sample.clone()
    };
    let [max, min] = bench.sigma;
    let levels = sample.levels(max, min, job.curve.as_ref())?;
    Ok(listed(sample, levels))
}

/// The recipes of the run that are of these weights, from few calls to many.
fn recipes(run: &RunDir, model: &Model) -> Result<Vec<(usize, Candidate)>> {
    let mut found = Vec::new();
    for recipe in Recipe::all(run)? {
        if Some(recipe.tuned.weights.as_str()) != model.digest() {
            continue;
        }
        if let Some(levels) = recipe.sample.sigmas.clone() {
            found.push((recipe.tuned.calls, listed(recipe.sample, levels)));
        }
    }
    Ok(found)
}

/// What `sample` says, on `levels`.
fn listed(sample: SampleConfig, levels: Levels) -> Candidate {
    Candidate {
        sampler: sample.sampler,
        grid: Grid::Listed,
        levels,
        denoise: sample.denoise,
        guidance: sample.guidance,
        settings: sample.settings,
    }
}
