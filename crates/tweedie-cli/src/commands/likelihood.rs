//! `tweedie likelihood`.

use std::path::{Path, PathBuf};

use tweedie::likelihood::{Divergence, Probe};
use tweedie::run::{LikelihoodJob, Likelihoods, Model, RunDir, SampleConfig, likelihoods};
use tweedie::{Error, Result, is_same_file};

use super::{evaluation_config, open_for};
use crate::args::Likelihood;
use crate::output;
use crate::progress::{tell_if_stopped, watched};

pub fn run(args: &Likelihood) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let config = run.config()?;
    // In f32, whatever precision the run samples in.
    let weights = SampleConfig {
        ema: config.sample.ema && !args.raw,
        ..SampleConfig::default()
    };
    let model = Model::load(&run, args.checkpoint, &weights)?;
    let config = evaluation_config(config, args.data.as_deref(), &args.set)?;
    let data = open_for(&model, &config)?;
    let path = args.out.clone().unwrap_or_else(|| {
        // Results for other data do not replace those for the run's own.
        let other = args
            .data
            .as_deref()
            .map(Path::new)
            .and_then(Path::file_stem);
        let name = other.map_or("likelihood.csv".into(), |stem| {
            format!("likelihood-{}.csv", stem.to_string_lossy())
        });
        run.path().join(name)
    });
    refuse_input(&path, run.path(), &config.data.source)?;
    let probes = args.probes;
    let job = LikelihoodJob {
        count: args.count,
        divergence: match args.exact {
            true => Divergence::Exact,
            false => Divergence::Hutchinson {
                probes,
                probe: Probe::Rademacher,
            },
        },
        tolerance: args.tolerance,
        seed: args.seed,
        batch: args.batch,
        file: Some(path),
    };
    if args.exact && data.dim() > 32 {
        note!(
            "exact divergence: {} passes where --probes 1 makes one",
            data.dim()
        );
    }
    let found = watched(|monitor| likelihoods(&model, &data, &job, monitor));
    let found = tell_if_stopped(found, "no likelihoods were written")?;
    output::result(&found, tell);
    Ok(())
}

fn tell(found: &Likelihoods) {
    let Likelihoods {
        step,
        data,
        count,
        log_density,
        ..
    } = found;
    say!("{count} items of {data} under step {step}");
    say!(
        "log density: {:.4} ± {:.4} nats, in the data's units",
        log_density.value,
        log_density.standard_error
    );
    if let Some(bits) = found.bits_per_dim {
        say!(
            "bits per dimension: {:.4} ± {:.4}",
            bits.value,
            bits.standard_error
        );
        say!("  with uniform dequantisation, an upper bound in expectation");
    }
    if let Some(file) = &found.file {
        say!("{}", file.display());
    }
}

/// Refuses to overwrite the inputs: the data, and the run itself.
fn refuse_input(out: &Path, run: &Path, data: &str) -> Result<()> {
    if output::is_json() && is_same_file(out, Path::new("/dev/stdout")) {
        return Err(Error::content(
            out,
            "is where the JSON goes; choose another file with --out",
        ));
    }
    let own = ["config.toml", "data.json", "stats.jsonl"];
    let inputs = own.iter().map(|name| run.join(name));
    let is_input = inputs
        .chain([PathBuf::from(data)])
        .any(|input| is_same_file(out, &input));
    let folder = out.parent().unwrap_or(out);
    let checkpoints = run.join("checkpoints");
    let in_checkpoint = folder.ancestors().any(|f| is_same_file(f, &checkpoints));
    // An item of a folder of data.
    let is_item = out.exists() && is_same_file(folder, Path::new(data));
    match is_input || in_checkpoint || is_item {
        true => Err(Error::content(
            out,
            "is an input; choose another file with --out",
        )),
        false => Ok(()),
    }
}
