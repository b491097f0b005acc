//! What a network learns of its training set by heart.
//!
//! Denoising score matching on n items has an exact minimum: the denoiser H of the items
//! themselves ([`Empirical`](tweedie::score::Empirical)), whose samples are copies of them. A
//! network that generalises must stay above that minimum. Its loss on the training items is
//!
//! E |x0 - H^|^2 = E |x0 - H|^2 + E |H^ - H|^2,
//!
//! the minimum and the excess over it, and both are known here at every noise level (Vincent 2011;
//! the exact minimum: Jolicoeur-Martineau et al. 2021, appendix D). One network is trained on 100
//! digits and one on 1500, with equal updates, and both are sampled at equal seeds.

mod copies;
mod losses;
mod probe;
mod sets;
mod training;

use crate::{PageFolder, Study, StudyOptions};
use sets::Sets;
use training::Learned;
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::noise::Levels;

pub(super) const STUDY: Study = Study {
    name: "memorisation",
    about: "what networks learn by heart: 100 and 1500 digits against the exact minimum of the loss",
    title: "Memorisation against the exact minimum of the loss",
    work,
};

/// The largest and the smallest noise level: about the largest distance of two digits (Technique 1),
/// and 1 % of the range of values.
const SIGMA: (f64, f64) = (6.0, 0.01);

/// The size of the study.
struct Size {
    /// Updates after which the losses are measured; the last ends the training.
    marks: &'static [u64],
    /// Examples in an update.
    batch: usize,
    /// Noise levels at which the losses are measured.
    levels: usize,
    /// Noised training items at a level.
    draws: usize,
    /// Samples of each denoiser, and the noise levels they are drawn with.
    samples: usize,
    steps: usize,
    /// Widths of the U-Net.
    widths: &'static [usize],
}

const FULL: Size = Size {
    marks: &[30, 100, 300, 1000, 3000],
    batch: 64,
    levels: 33,
    draws: 600,
    samples: 500,
    steps: 64,
    widths: &[32, 64],
};

const QUICK: Size = Size {
    marks: &[5, 20],
    batch: 32,
    levels: 9,
    draws: 100,
    samples: 24,
    steps: 8,
    widths: &[8, 16],
};

fn work(folder: &mut PageFolder, options: &StudyOptions, monitor: &mut Monitor<'_>) -> Result<()> {
    let size = if options.quick { QUICK } else { FULL };
    let sets = Sets::new(options.seed)?;
    let levels = Levels::geometric(SIGMA.0, SIGMA.1, size.levels)?;
    let mut learned = Vec::new();
    for training in &sets.training {
        learned.push(Learned::new(
            training,
            &sets,
            &levels,
            &size,
            options.seed,
            monitor,
        )?);
    }
    introduce(folder, &size, learned[0].parameters);
    losses::sections(folder, &levels, &learned)?;
    copies::sections(folder, &sets, &learned, &size, options.seed, monitor)
}

fn introduce(folder: &mut PageFolder, size: &Size, parameters: usize) {
    let [few, many] = sets::TRAINING;
    folder.lead(
        "The loss of denoising score matching on a training set has an exact minimum, and the \
         denoiser that attains it can only return copies of the training items. How near do \
         networks come to it, at which noise levels, and what do their samples look like?",
    );
    folder.paragraph(&format!(
        "The same U-Net ({parameters} parameters) is trained on {few} and on {many} of the built-in \
         digits, with equal initial weights and {} updates of {} examples each. The digits are \
         shuffled first, because neighbours in the file are by one writer; the {few} are among the \
         {many}, and the remaining {} are held out from both. They are what the losses and the \
         samples are compared with, so they must come from the same distribution and be many: all \
         1797 items in the training set would leave none to test with.",
        size.marks.last().unwrap_or(&0),
        size.batch,
        sets::HELD_OUT,
    ));
    folder.paragraph(&format!(
        "Losses are E |x0 - H|² divided by that of no denoising at all, 64 σ²: the share of the \
         noise's variance that is left, 1 where nothing is removed. Values of a pixel are 0 to 1, \
         and noise levels reach from {} to {}.",
        SIGMA.0, SIGMA.1
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_study_is_whole_and_repeats() {
        let options = StudyOptions {
            seed: 2,
            quick: true,
        };
        let make = || {
            let dir = tempfile::tempdir().unwrap();
            let studied = STUDY
                .run(dir.path(), &options, &mut Monitor::silent())
                .unwrap();
            for name in [
                "loss-100.png",
                "loss-1500.svg",
                "excess-100.png",
                "departure.svg",
                "samples-100.png",
                "samples-1500.png",
                "ratios.png",
            ] {
                assert!(dir.path().join(name).is_file(), "{name}");
            }
            let table = std::fs::read_to_string(dir.path().join("test.csv")).unwrap();
            assert_eq!(table.lines().count(), 1 + 6);
            (std::fs::read(studied.saved.page).unwrap(), table)
        };
        assert!(make() == make());
    }
}
