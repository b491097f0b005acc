//! The page of a run: data beside samples, losses, noise during sampling, trajectories.

mod noise;
mod samples;
mod training;
mod trajectories;

use std::path::PathBuf;

use super::{Model, RunDir, SampleConfig};
use crate::data::Dataset;
use crate::error::Result;
use crate::report::{PageFolder, Picture};
use crate::sample::SamplerKind;

/// Size of the charts, in pixels.
const CHART: (usize, usize) = (900, 520);

/// The options of the page.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// Numbers of steps to sample with: few, many.
    pub steps: [usize; 2],
    /// Samples in each row of pictures.
    pub columns: usize,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            steps: [10, 100],
            columns: 16,
        }
    }
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

/// Draws samples from `run` and writes `report/index.html` with its pictures beside it; returns
/// the page's path. `on` is called with the name of each section.
///
/// # Errors
/// When the run has no checkpoint, the network's output is not finite, or the disk refuses.
pub fn write_report(
    run: &RunDir,
    options: &ReportOptions,
    on: &mut dyn FnMut(&str),
) -> Result<PathBuf> {
    let sample = SampleConfig {
        ema: true,
        ..run.config()?.sample
    };
    let model = Model::load(run, None, &sample)?;
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
        data: crate::data::open(&model.config().data)
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
    on("samples");
    report = samples::section(report)?;
    on("losses");
    report = training::section(report)?;
    on("noise levels");
    report = noise::section(report)?;
    on("trajectories");
    report = trajectories::section(report)?;
    report.folder.section("Configuration");
    report.folder.code(&report.model.config().to_toml());
    report.folder.save()
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

    /// `sampler` as the run would use it, with one step per level: the run's step size applies to
    /// its own sampler only, and of the ways to give it only eps_c suits any number of steps.
    fn own(&self, sampler: SamplerKind) -> SampleConfig {
        let own = &self.model.config().sample;
        let sample = own.clone().by(sampler);
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
