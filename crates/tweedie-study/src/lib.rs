//! Studies: the papers' figures, reproduced by this library and compared with the originals, and
//! what the exact denoisers show of trained ones.
//!
//! A study computes everything it shows from fixed seeds, and writes a folder with pictures (PNG
//! and SVG), tables (CSV) and one page that states the paper's result, where there is one, and the
//! one found here.
//!
//! To add one: a file with a `STUDY`, and its line in [`STUDIES`].

#![deny(missing_docs)]

mod bridge;
mod density;
mod fit;
mod langevin;
mod memorisation;
mod noise;
mod toy;
mod tutorial;

use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use tweedie::job::Monitor;
use tweedie::report::{Cell, PageFolder, SavedPage, Table};
use tweedie::score::GaussianMixture;
use tweedie::{Error, Result, data};

pub use density::GridDensity;
pub use noise::langevin_noise;
pub use tutorial::{recovered_density, tutorial_chain};

/// All studies.
pub const STUDIES: &[Study] = &[
    noise::STUDY,
    toy::STUDY,
    tutorial::STUDY,
    bridge::STUDY,
    memorisation::STUDY,
];

/// One study.
#[derive(Clone, Copy, Debug)]
pub struct Study {
    /// Its name, as the user writes it.
    pub name: &'static str,
    /// What it reproduces, in one line.
    pub about: &'static str,
    /// The title of its page.
    title: &'static str,
    work: Work,
}

/// The work of a study: fills the folder and reports progress.
type Work = fn(&mut PageFolder, &StudyOptions, &mut Monitor<'_>) -> Result<()>;

/// The options of a study.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StudyOptions {
    /// The seed of data, weights and sampling.
    pub seed: u64,
    /// Far fewer samples and updates, for a preview within seconds. The numbers are then rough.
    pub quick: bool,
}

/// What a study wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Studied {
    /// The study's name.
    pub study: &'static str,
    /// The seed of data, weights and sampling.
    pub seed: u64,
    /// Whether it was a quick run, whose numbers are rough.
    pub quick: bool,
    /// Seconds it took.
    pub seconds: f64,
    /// Where everything is.
    #[serde(flatten)]
    pub saved: SavedPage,
}

impl Study {
    /// The study of this name.
    ///
    /// # Errors
    /// [`Error::Setting`] with the names there are.
    pub fn named(name: &str) -> Result<&'static Self> {
        STUDIES
            .iter()
            .find(|study| study.name == name)
            .ok_or_else(|| {
                let names: Vec<_> = STUDIES.iter().map(|study| study.name).collect();
                let reason = format!("there is no such study; choose from {}", names.join(", "));
                Error::setting("study", name, reason)
            })
    }

    /// Runs the study into the folder `out`. Files of an earlier study there are replaced.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses, [`Error::Stopped`] where `monitor` says so.
    pub fn run(
        &self,
        out: &Path,
        options: &StudyOptions,
        monitor: &mut Monitor<'_>,
    ) -> Result<Studied> {
        let began = Instant::now();
        let mut folder = PageFolder::create(out, self.title)?;
        if options.quick {
            folder.paragraph(
                "A quick run: few samples and updates. The numbers are rough, and the text, which \
                 describes a full run, may not match them.",
            );
        }
        (self.work)(&mut folder, options, monitor)?;
        monitor.go_on()?;
        folder.list_files();
        Ok(Studied {
            study: self.name,
            seed: options.seed,
            quick: options.quick,
            saved: folder.save()?,
            seconds: began.elapsed().as_secs_f64(),
        })
    }
}

/// The distribution of the built-in set `name`, a mixture of Gaussians.
fn mixture(name: &str) -> Result<GaussianMixture> {
    let Some(mixture) = data::mixture(name) else {
        return Err(Error::setting("mixture", name, "is not built in"));
    };
    let variances = vec![mixture.std * mixture.std; mixture.weights.len()];
    GaussianMixture::new(&mixture.weights, mixture.means.concat(), &variances)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn studies_are_found_by_name() {
        for study in STUDIES {
            assert_eq!(Study::named(study.name).unwrap().name, study.name);
        }
        let message = Study::named("nois").unwrap_err().to_string();
        assert!(
            message.contains("noise, toy, tutorial, bridge, memorisation"),
            "{message}"
        );
    }
}
