//! The noise in the samples during sampling, measured and scheduled.

use super::{CHART, Report};
use crate::error::Result;
use crate::job::Monitor;
use crate::report::{Axis, Chart, Series};
use crate::sample::{NoiseLevels, SamplerKind};

const TEXT: &str = "The root mean square distance between the samples after each step and the \
    denoised samples that the step used, compared with the noise level of the schedule. Annealed \
    Langevin sampling keeps more noise than scheduled (Proposition 1 of Jolicoeur-Martineau et al. \
    2021); consistent annealed sampling does not. The measurement relies on the network: where it \
    attributes part of the noise to the data, the curve lies below the schedule.";

/// Samples that the root mean square is taken over.
const SAMPLES: usize = 32;

pub fn section<'a>(report: Report<'a>, monitor: &mut Monitor<'_>) -> Result<Report<'a>> {
    let mut chart = Chart::new("Noise during sampling")
        .x(Axis::linear("noise level"))
        .y(Axis::log("noise, standard deviation"));
    let many = report.options.steps[1];
    for (label, sample) in report.schemes() {
        if sample.steps != many {
            continue;
        }
        let levels = NoiseLevels::new();
        let (_, levels) = report.draw("noise", &sample, SAMPLES, levels, monitor)?;
        let steps = || levels.levels().iter();
        if sample.sampler == SamplerKind::Als {
            let scheduled = steps().map(|level| (level.step as f64, level.scheduled));
            chart = chart.series(Series::dashed("scheduled", scheduled));
        }
        // Langevin steps stay at their level, consistent ones end at the next.
        let ahead = usize::from(sample.sampler != SamplerKind::Als);
        let measured = steps().filter(|level| level.scheduled > 0.0);
        let measured = measured.map(|level| ((level.step + ahead) as f64, level.measured));
        chart = chart.series(Series::line(label, measured));
    }
    let picture = chart.png(CHART.0, CHART.1)?;
    report
        .heading("Noise", TEXT)
        .picture("noise", &picture, "Measured and scheduled noise.", false)
}
