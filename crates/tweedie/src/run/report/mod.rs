//! The job `report`: the page of a run, with data beside samples, losses, noise during sampling,
//! trajectories.

mod noise;
mod samples;
mod training;
mod trajectories;

use std::ops::ControlFlow;
use std::time::Instant;

use serde::Serialize;

use super::{Model, RunDir, SampleConfig};
use crate::data::Dataset;
use crate::error::Result;
use crate::job::{Monitor, Progress};
use crate::report::{PageFolder, Picture, SavedPage};
use crate::sample::{Observer, SamplerKind, Samples, StepView};

/// Size of the charts, in pixels.
const CHART: (usize, usize) = (900, 520);

/// The options of the page.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// Numbers of steps to sample with: few, many.
    pub steps: [usize; 2],
    /// Samples in each row of pictures.
    pub columns: usize,
    /// The step of the checkpoint; the latest when missing.
    pub checkpoint: Option<u64>,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            steps: [10, 100],
            columns: 16,
            checkpoint: None,
        }
    }
}

/// What [`write_report`] wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reported {
    /// Updates behind the weights.
    pub step: u64,
    /// Whether the data was available to be shown.
    pub data_shown: bool,
    /// Seconds it took.
    pub seconds: f64,
    /// The page and the files beside it.
    #[serde(flatten)]
    pub saved: SavedPage,
}

/// The page under construction, with everything its sections need.
struct Report<'a> {
    run: &'a RunDir,
    model: Model,
    /// The data; `None` where it is no longer where the configuration says.
    data: Option<Dataset>,
    options: ReportOptions,
    folder: PageFolder,
}

/// Draws samples from `run` and writes `report/index.html` with its pictures beside it.
///
/// # Errors
/// When the run has no checkpoint, or not the one asked for, a number of steps is not possible, the
/// network's output is not finite, or the disk refuses; [`crate::Error::Stopped`] where `monitor`
/// says so.
pub fn write_report(
    run: &RunDir,
    options: &ReportOptions,
    monitor: &mut Monitor<'_>,
) -> Result<Reported> {
    let began = Instant::now();
    let sample = SampleConfig {
        ema: true,
        ..run.config()?.sample
    };
    let model = Model::load(run, options.checkpoint, &sample)?;
    let name = run
        .path()
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let lead = format!(
        "A score network after {} training steps on {} ({} items).",
        model.step(),
        model.data().name,
        model.data().count
    );
    let mut folder = PageFolder::create(&run.path().join("report"), &format!("tweedie: {name}"))?;
    folder.lead(&lead);
    let mut report = Report {
        data: model
            .config()
            .open_data()
            .ok()
            .filter(|data| data.shape() == model.data().shape),
        folder,
        run,
        model,
        options: options.clone(),
    };
    if report.data.is_none() {
        let text = "The data set is missing or has changed, so it is not shown.";
        report.folder.paragraph(text);
    }
    let own = &report.model.config().sample;
    if own.sigmas.is_some() || own.needs_curve() && report.model.loss_curve().is_err() {
        let text = match own.sigmas {
            Some(_) => {
                "The run lists its noise levels; the pictures here compare numbers of steps, with \
                 geometric levels."
            }
            None => {
                "No loss curve of these weights is measured, so the noise levels here are geometric."
            }
        };
        report.folder.paragraph(text);
    }
    report = samples::section(report, monitor)?;
    report = training::section(report)?;
    report = noise::section(report, monitor)?;
    report = trajectories::section(report, monitor)?;
    report.folder.section("Configuration");
    report.folder.code(&report.model.config().to_toml());
    Ok(Reported {
        step: report.model.step(),
        data_shown: report.data.is_some(),
        saved: report.folder.save()?,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Tells how far the drawing of samples is.
struct Watch<'a, 'b> {
    monitor: &'a mut Monitor<'b>,
    what: String,
}

impl Observer for Watch<'_, '_> {
    fn step(&mut self, view: &StepView<'_>) -> ControlFlow<()> {
        self.monitor.tell(&Progress {
            what: &self.what,
            done: view.step as u64 + 1,
            total: view.steps as u64,
            unit: "steps",
            note: &"",
        });
        match self.monitor.stopped() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Report<'_> {
    fn heading(mut self, title: &str, text: &str) -> Self {
        self.folder.section(title);
        self.folder.paragraph(text);
        self
    }

    /// Adds a picture to the page and writes it as a file beside it.
    fn picture(
        mut self,
        name: &str,
        picture: &Picture,
        caption: &str,
        pixels: bool,
    ) -> Result<Self> {
        match pixels {
            true => self.folder.pixels(name, picture, caption)?,
            false => self.folder.picture(name, picture, caption)?,
        }
        Ok(self)
    }

    /// The samples numbered from 0 to `count` - 1, with an observer; `what` says what they are for.
    fn draw<O: Observer>(
        &self,
        what: &str,
        sample: &SampleConfig,
        count: usize,
        observer: O,
        monitor: &mut Monitor<'_>,
    ) -> Result<(Samples, O)> {
        let what = format!("{what}, {} {}", sample.sampler.label(), sample.count());
        let mut both = (Watch { monitor, what }, observer);
        let drawn = self.model.run(sample, 0..count as u64, &mut both);
        let (watch, observer) = both;
        watch.monitor.go_on()?;
        Ok((drawn?, observer))
    }

    /// `sampler` as the run would use it, with one step per level: the run's step size applies to
    /// its own sampler only, and of the ways to give it only eps_c suits any number of steps.
    fn own(&self, sampler: SamplerKind) -> SampleConfig {
        let own = &self.model.config().sample;
        // With any number of steps, and from a curve only where there is one.
        let mut sample = own.clone().by(sampler).of_steps(own.steps);
        if self.model.loss_curve().is_err() {
            sample = sample.without_curve();
        }
        match own.settings.get("eps_c") {
            Some(eps_c) if own.sampler == sampler => sample.with("eps_c", eps_c.clone()),
            _ => sample,
        }
    }

    /// The settings that are compared: each sampler with few and with many steps.
    fn schemes(&self) -> Vec<(String, SampleConfig)> {
        let mut schemes = Vec::new();
        for sampler in [SamplerKind::Als, SamplerKind::Cas] {
            for steps in self.options.steps {
                let sample = SampleConfig {
                    steps,
                    ..self.own(sampler)
                };
                schemes.push((format!("{} {steps}", sampler.label()), sample));
            }
        }
        schemes
    }
}
