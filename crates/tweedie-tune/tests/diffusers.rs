//! The schedulers written for diffusers against the samplers they stand for.
//!
//! `tests/diffusers` holds what is written for some settings, and `golden.json`: what diffusers made
//! of these, with the exact denoiser of a Gaussian, from a start and noise that are here
//! (`scripts/golden-diffusers.py`).

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;
use tweedie::noise::{Levels, Schedule};
use tweedie::random::{NoiseSource, Stream};
use tweedie::sample::{SamplerKind, run};
use tweedie::score::{Denoiser, Posterior, Query, by_level};
use tweedie_tune::{Candidate, Grid, NetworkNoise, diffusers, sigmas_line};

const MEAN: [f64; 3] = [0.5, -0.2, 0.0];
const VARIANCE: [f64; 3] = [1.0, 0.3, 0.05];
const SAMPLES: u64 = 2;
/// Draws of noise of a sample: the start's and at most one a step.
const DRAWS: u32 = 9;

struct Gaussian;

impl Denoiser for Gaussian {
    fn dim(&self) -> usize {
        3
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> tweedie::Result<()> {
        by_level(3, query, posterior, |x, sigma, out| {
            for (x, out) in x.chunks_exact(3).zip(out.chunks_exact_mut(3)) {
                for i in 0..3 {
                    let gain = VARIANCE[i] / (VARIANCE[i] + sigma * sigma);
                    out[i] = MEAN[i] + gain * (x[i] - MEAN[i]);
                }
            }
            Ok(())
        })
    }
}

/// What the script reads: the problem, and the noise of every draw and sample.
#[derive(Serialize)]
struct Inputs {
    mean: [f64; 3],
    variance: [f64; 3],
    noise: Vec<Vec<[f64; 3]>>,
}

/// What it writes.
#[derive(Deserialize)]
struct Golden {
    diffusers: String,
    results: std::collections::BTreeMap<String, Vec<[f64; 3]>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diffusers")
}

fn source() -> NoiseSource {
    NoiseSource::new(11, Stream::Sampling)
}

fn candidate(sampler: SamplerKind, settings: &str) -> Candidate {
    Candidate {
        sampler,
        grid: Grid::Geometric,
        levels: Levels::new(vec![40.0, 9.0, 3.5, 1.2, 0.5, 0.2, 0.05]).unwrap(),
        denoise: true,
        guidance: None,
        settings: toml::from_str::<Table>(settings).unwrap(),
    }
}

/// The settings, and whether what is written is the same sampler or the nearest.
fn cases() -> Vec<(String, Candidate, NetworkNoise, bool)> {
    let per_step =
        "eps_c = [1.0, 1.3, 2.0, 1.0, 4.0, 1.1, 1.0]\nc = [0.0, 0.4, -0.1, 0.9, 0.0, 0.5, 0.0]";
    let settings = [
        ("euler", SamplerKind::Cas, "eps_c = 1.0", true),
        ("ancestral", SamplerKind::Cas, "eps_c = 2.0", true),
        ("cas", SamplerKind::Cas, "eps_c = 1.35", true),
        ("2m", SamplerKind::Dpmpp2mSde, "eta = 0.0", true),
        ("sde-2m", SamplerKind::Dpmpp2mSde, "eta = 1.0", true),
        ("sde-2m-less", SamplerKind::Dpmpp2mSde, "eta = 0.4", true),
        ("per-step", SamplerKind::Exponential, per_step, true),
        ("heun", SamplerKind::Heun, "s_churn = 0.0", true),
        ("sa-solver", SamplerKind::SaSolver, "tau = 0.8", true),
        ("als", SamplerKind::Als, "eta = 0.3", false),
    ];
    let table = |schedule: Schedule, prediction| NetworkNoise::Table {
        schedule,
        timesteps: schedule.table(1000).unwrap(),
        prediction: Some(prediction),
    };
    let networks = [
        ("table", table(Schedule::Ddpm, "epsilon")),
        (
            "sigma",
            NetworkNoise::Sigma {
                sigma_data: Some(0.5),
            },
        ),
    ];
    let mut cases = Vec::new();
    for (name, sampler, text, same) in settings {
        for (network_name, network) in &networks {
            // diffusers' Heun is for tables.
            let same = same && !(name == "heun" && *network_name == "sigma");
            let name = format!("{name}-{network_name}");
            cases.push((name, candidate(sampler, text), network.clone(), same));
        }
    }
    let other = [
        ("cosine", table(Schedule::Cosine, "v_prediction")),
        ("scaled-linear", table(Schedule::ScaledLinear, "sample")),
        ("denoiser", NetworkNoise::Sigma { sigma_data: None }),
    ];
    for (name, network) in other {
        let mut candidate = candidate(SamplerKind::Exponential, per_step);
        // Within the range of every table.
        candidate.levels = Levels::new(vec![14.0, 9.0, 3.5, 1.2, 0.5, 0.2, 0.05]).unwrap();
        cases.push((format!("per-step-{name}"), candidate, network, true));
    }
    cases
}

#[test]
fn what_is_written_for_diffusers_samples_as_the_sampler_does() {
    let update = std::env::var_os("TWEEDIE_UPDATE_DIFFUSERS").is_some();
    if update {
        let draw = |draw: u32| {
            let sample = |sample: u64| {
                let mut z = [0.0; 3];
                source().fill_normal(sample, draw, &mut z);
                z
            };
            (0..SAMPLES).map(sample).collect()
        };
        let inputs = Inputs {
            mean: MEAN,
            variance: VARIANCE,
            noise: (0..DRAWS).map(draw).collect(),
        };
        let text = serde_json::to_string_pretty(&inputs).unwrap();
        fs::create_dir_all(folder()).unwrap();
        fs::write(folder().join("inputs.json"), text + "\n").unwrap();
    }
    let golden = fs::read_to_string(folder().join("golden.json"));
    let golden: Option<Golden> = golden.ok().map(|text| serde_json::from_str(&text).unwrap());
    for (name, candidate, network, same) in cases() {
        let written = diffusers(&candidate, &network, &["Written by a test.".into()]);
        let path = folder().join(format!("{name}.py"));
        if update {
            fs::write(&path, &written).unwrap();
            continue;
        }
        let stored = fs::read_to_string(&path).unwrap();
        assert_eq!(
            written, stored,
            "{name}: TWEEDIE_UPDATE_DIFFUSERS=1 updates it, scripts/golden-diffusers.py checks it"
        );
        let words = written.split_whitespace().collect::<Vec<_>>().join(" ");
        let nearest = words.contains("nearest") && !words.contains("the sampler itself");
        assert_ne!(same, nearest, "{name}");
        let golden = golden
            .as_ref()
            .expect("scripts/golden-diffusers.py makes golden.json");
        if !same {
            continue;
        }
        let samples: Vec<u64> = (0..SAMPLES).collect();
        let mut sampler = candidate.sampler().unwrap();
        let ours = run(&Gaussian, sampler.as_mut(), &source(), &samples, &mut ()).unwrap();
        let theirs = golden.results[&name].as_flattened();
        for (ours, theirs) in ours.x.iter().zip(theirs) {
            // diffusers computes in single precision, from a start of 40 and more.
            let away = (ours - theirs).abs();
            assert!(
                away < 2e-5,
                "{name}, diffusers {}: {ours} and {theirs}",
                golden.diffusers
            );
        }
    }
}

#[test]
fn levels_are_one_line_with_the_final_zero_and_all_their_digits() {
    let levels = Levels::new(vec![14.6146, 0.1 + 0.2, 1e-5]).unwrap();
    let line = sigmas_line(&levels);
    assert_eq!(line, "14.6146, 0.30000000000000004, 0.00001, 0\n");
    let back: Vec<f64> = line.split(',').map(|v| v.trim().parse().unwrap()).collect();
    assert_eq!(back[..3], *levels.as_slice());
}
