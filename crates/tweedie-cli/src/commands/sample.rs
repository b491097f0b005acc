//! `tweedie sample`.

use std::ops::Range;

use tweedie::Result;
use tweedie::nn;
use tweedie::run::{Draw, Model, RunDir, SampleConfig, SamplerKind, export};

use crate::args::{Precision, Sample, Sampler};
use crate::progress::{Progress, duration};

pub fn run(args: &Sample) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let sample = settings(args, run.config()?.sample);
    let model = Model::load(&run, args.checkpoint, &sample)?;
    // An impossible setting is refused before anything is computed or written.
    model.sampler(&sample)?;
    let out = args.out.clone().unwrap_or_else(|| {
        run.path()
            .join("samples")
            .join(name(&sample, &model, &args.seeds))
    });

    let mut progress = None;
    let mut draw = Draw::new(sample, args.seeds.clone());
    draw.batch = args.batch;
    let drawn = model.draw(&draw, &mut |state| {
        progress
            .get_or_insert_with(|| Progress::new("sampling", state.total, 0))
            .at(state.done, String::new);
    })?;
    if let Some(progress) = progress {
        progress.finish();
    }
    let written = export(&model, &drawn, args.seeds.start, &out, !args.grid_only)?;
    say!(
        "{} samples of step {} in {}: {:.2} samples a second, {} network calls each",
        drawn.len(),
        model.step(),
        duration(drawn.time),
        drawn.len() as f64 / drawn.time.as_secs_f64().max(1e-9),
        drawn.calls
    );
    for path in written {
        say!("{}", path.display());
    }
    Ok(())
}

/// The run's own settings, changed as the command line says.
fn settings(args: &Sample, mut sample: SampleConfig) -> SampleConfig {
    let scheme = match args.sampler {
        Some(Sampler::Cas) => SamplerKind::Cas,
        Some(Sampler::Als) => SamplerKind::Als,
        None => sample.sampler,
    };
    // A step size made for one scheme means little to the other.
    let step_size_given = args.eps_c.is_some() || args.eta.is_some() || args.eps_b.is_some();
    if step_size_given || scheme != sample.sampler {
        (sample.eps_c, sample.eta, sample.eps_b) = (args.eps_c, args.eta, args.eps_b);
    }
    sample.sampler = scheme;
    sample.steps = args.steps.unwrap_or(sample.steps);
    sample.n_sigma = args.n_sigma.unwrap_or(sample.n_sigma);
    sample.denoise &= !args.no_denoise;
    sample.ema = (sample.ema || args.ema) && !args.raw;
    sample.precision = match args.precision {
        Some(Precision::F32) => nn::Precision::F32,
        Some(Precision::Bf16) => nn::Precision::Bf16,
        None => sample.precision,
    };
    sample
}

/// A folder's name that tells apart what is drawn, and how.
fn name(sample: &SampleConfig, model: &Model, seeds: &Range<u64>) -> String {
    let mut name = format!("{}-{}", sample.sampler.name().to_lowercase(), sample.steps);
    let parts = [
        ("eta", sample.eta),
        ("eps_b", sample.eps_b),
        ("eps_c", sample.eps_c),
    ];
    for (key, value) in parts {
        if let Some(value) = value {
            name += &format!("-{key}{value}");
        }
    }
    if sample.n_sigma != 1 {
        name += &format!("-x{}", sample.n_sigma);
    }
    if !sample.denoise {
        name += "-noisy";
    }
    if !sample.ema {
        name += "-raw";
    }
    if sample.precision == nn::Precision::Bf16 {
        name += "-bf16";
    }
    name + &format!(
        "-step{}-seeds{}-{}",
        model.step(),
        seeds.start,
        seeds.end - 1
    )
}
