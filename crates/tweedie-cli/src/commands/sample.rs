//! `tweedie sample`.

use std::ops::Range;

use tweedie::Result;
use tweedie::nn;
use tweedie::noise::Schedule;
use tweedie::run::{Clip, Draw, Model, RunDir, SampleConfig, export};

use crate::args::{Precision, Sample};
use crate::progress::{Progress, duration};

pub fn run(args: &Sample) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let sample = settings(args, run.config()?.sample)?;
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
fn settings(args: &Sample, mut sample: SampleConfig) -> Result<SampleConfig> {
    let step_sizes = [
        ("eps_c", args.eps_c),
        ("eta", args.eta),
        ("eps_b", args.eps_b),
    ];
    if let Some(sampler) = args.sampler
        && sampler.0 != sample.sampler
    {
        // Settings made for one scheme mean little to another.
        sample = sample.by(sampler.0);
    }
    for (key, value) in step_sizes {
        if let Some(value) = value {
            sample = sample.with(key, value);
        }
    }
    if let Some(n_sigma) = args.n_sigma {
        // More steps than 2^63 are refused as too many all the same.
        sample = sample.with("n_sigma", i64::try_from(n_sigma).unwrap_or(i64::MAX));
    }
    sample.steps = args.steps.unwrap_or(sample.steps);
    let mut sample = sample.changed(&args.set)?;
    sample.denoise &= !args.no_denoise;
    sample.ema = (sample.ema || args.ema) && !args.raw;
    sample.precision = match args.precision {
        Some(Precision::F32) => nn::Precision::F32,
        Some(Precision::Bf16) => nn::Precision::Bf16,
        None => sample.precision,
    };
    sample.check()?;
    Ok(sample)
}

/// A folder's name that tells apart what is drawn, and how.
fn name(sample: &SampleConfig, model: &Model, seeds: &Range<u64>) -> String {
    let mut name = format!("{}-{}", sample.sampler.name(), sample.steps);
    if sample.schedule != Schedule::default() {
        name += &format!("-{}", sample.schedule.name());
    }
    if sample.schedule == Schedule::Karras && sample.rho != 7.0 {
        name += &format!("-rho{}", sample.rho);
    }
    match sample.clip {
        Clip::None => {}
        Clip::Range => name += "-clip",
        Clip::Dynamic => name += &format!("-dynamic{}", sample.quantile),
    }
    for (key, value) in &sample.settings {
        match (key.as_str(), value.to_string().trim_matches('"')) {
            ("n_sigma", "1") => {}
            ("n_sigma", n) => name += &format!("-x{n}"),
            (key, value) => name += &format!("-{key}{value}"),
        }
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
