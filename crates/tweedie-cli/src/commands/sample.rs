//! `tweedie sample`.

use std::ops::Range;
use std::time::Duration;

use tweedie::nn;
use tweedie::noise::{LossSchedule, Schedule};
use tweedie::run::{
    self, Clip, Draw, Model, RunDir, SampleConfig, SampleJob, Sampled, SamplingSchedule,
};
use tweedie::{Error, Result};

use crate::args::{Precision, Sample};
use crate::output;
use crate::progress::{duration, watched};

pub fn run(args: &Sample) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let (own, recipe) = super::own_settings(&run, args.recipe.as_deref())?;
    let sample = settings(args, own)?;
    let model = Model::load(&run, args.checkpoint, &sample)?;
    if let Some(recipe) = &recipe {
        super::note_other_weights(recipe, &model);
    }
    let out = args.out.clone().unwrap_or_else(|| {
        run.path()
            .join("samples")
            .join(name(&sample, &model, &args.seeds))
    });

    let mut draw = Draw::new(sample, args.seeds.clone());
    draw.batch = args.batch;
    let job = SampleJob {
        draw,
        folder: out,
        pictures: !args.grid_only,
    };
    let sampled = watched(|monitor| run::sample(&model, &job, monitor))?;
    output::result(&sampled, tell);
    match sampled.stopped {
        true => Err(Error::Stopped),
        false => Ok(()),
    }
}

fn tell(sampled: &Sampled) {
    let Sampled {
        step, count, drawn, ..
    } = sampled;
    if sampled.stopped {
        return say!(
            "stopped: {} of {count} samples of step {step} are done; the same command continues",
            sampled.done
        );
    }
    let took = duration(Duration::from_secs_f64(sampled.seconds));
    let rate = *drawn as f64 / sampled.seconds.max(1e-9);
    let calls = sampled.calls;
    match drawn {
        0 => say!("{count} samples of step {step} were done already"),
        drawn if drawn == count => say!(
            "{count} samples of step {step} in {took}: {rate:.2} samples per second, {calls} network \
             calls each"
        ),
        drawn => say!(
            "{count} samples of step {step}, the last {drawn} in {took}: {rate:.2} samples per \
             second, {calls} network calls each"
        ),
    }
    for path in &sampled.files {
        say!("{}", path.display());
    }
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
        // Settings of one sampler do not carry over to another.
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
    if let Some(steps) = args.steps {
        sample = sample.of_steps(steps);
    }
    let mut sample = sample.changed(&args.set)?;
    if let Some(steps) = args.steps
        && sample.sigmas.is_some()
        && sample.count() != steps
    {
        let reason = format!(
            "sigmas lists {} noise levels; leave --steps out",
            sample.count()
        );
        return Err(Error::setting("--steps", steps, reason));
    }
    sample.class = args.class.clone().or(sample.class);
    sample.guidance = args.guidance.or(sample.guidance);
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

/// A folder name that identifies the samples and their settings.
fn name(sample: &SampleConfig, model: &Model, seeds: &Range<u64>) -> String {
    let mut name = format!("{}-{}", sample.sampler.name(), sample.count());
    if sample.schedule != SamplingSchedule::default() {
        name += &format!("-{}", sample.schedule);
    }
    if sample.schedule == Schedule::Karras.into() && sample.rho != 7.0 {
        name += &format!("-rho{}", sample.rho);
    }
    if sample.schedule == LossSchedule::MseDp.into() && sample.p != 1.0 {
        name += &format!("-p{}", sample.p);
    }
    if let Some(sigmas) = &sample.sigmas {
        name += &format!("-from{}", listed(sigmas.as_slice()));
    }
    match sample.clip {
        Clip::None => {}
        Clip::Range => name += "-clip",
        Clip::Dynamic => name += &format!("-dynamic{}", sample.quantile),
    }
    for (key, value) in &sample.settings {
        if let Some(list) = value.as_array() {
            let whole = list
                .iter()
                .map(|value| value.as_integer().map(|n| n as f64));
            let values = list.iter().zip(whole);
            let values: Vec<f64> = values.filter_map(|(v, n)| v.as_float().or(n)).collect();
            name += &format!("-{key}{}", listed(&values));
            continue;
        }
        match (key.as_str(), value.to_string().trim_matches('"')) {
            ("n_sigma", "1") => {}
            ("n_sigma", n) => name += &format!("-x{n}"),
            (key, value) => name += &format!("-{key}{value}"),
        }
    }
    if let Some(class) = &sample.class {
        name += &format!("-class{class}");
    }
    if let Some(guidance) = sample.guidance {
        name += &format!("-guidance{guidance}");
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

/// A list of numbers in a name: its ends, and eight digits that tell it from others with these ends. A
/// name of a hundred numbers would be too long for a file system.
fn listed(values: &[f64]) -> String {
    // FNV-1a (Fowler, Noll and Vo), the same on every machine.
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    let hash = bytes.fold(0x811c_9dc5u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let end = |value: Option<&f64>| value.map_or(String::new(), |value| format!("{value:.4}"));
    format!(
        "{}-to{}-{hash:08x}",
        end(values.first()),
        end(values.last())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_told_apart_in_few_characters() {
        let list = |middle: f64| listed(&[4.9, middle, 0.014_864_921_038]);
        assert!(list(0.5).starts_with("4.9000-to0.0149-"));
        assert_eq!(list(0.5), list(0.5));
        assert_ne!(list(0.5), list(0.6));
        assert!(listed(&vec![1.0; 1000]).len() < 40);
    }
}
