//! The command line.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use tweedie::run::{Classes, Convention, Space};
use tweedie::sample::{SamplerKind, Setting, SettingKind};
use tweedie_study::STUDIES;

/// Score-based generative modelling: train a score network on your data, sample it, see the
/// result.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
#[command(
    after_help = "Start here:\n  tweedie demo                        train on the built-in \
    digits and show the result\n  tweedie levels my-images/           choose noise levels for \
    your data\n  tweedie train config.toml           train; see examples/ for \
    configurations\n  tweedie sample runs/config          draw samples from the run\n\nWith \
    --json a command prints its result as one JSON document on stdout, in which numbers that are \
    not finite are null, and all else on stderr.\n\nExit codes: 0 success, 1 an error (one line on stderr says what to do), 2 wrong arguments, 130 and \
    143 stopped by Ctrl-C or SIGTERM."
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(Demo),
    Levels(Levels),
    Train(Train),
    Sample(Sample),
    Likelihood(Likelihood),
    Report(Report),
    Evaluate(Evaluate),
    Tune(Tune),
    Profile(Profile),
    Study(Study),
    Classifier(Classifier),
}

impl Command {
    /// Whether the result is to be printed as JSON.
    pub fn json(&self) -> bool {
        match self {
            Self::Demo(args) => args.json,
            Self::Levels(args) => args.json,
            Self::Train(args) => args.json,
            Self::Sample(args) => args.json,
            Self::Likelihood(args) => args.json,
            Self::Report(args) => args.json,
            Self::Evaluate(args) => args.json,
            Self::Tune(args) => args.json,
            Self::Profile(args) => args.json,
            Self::Study(args) => args.json,
            Self::Classifier(args) => match &args.command {
                ClassifierCommand::Train(args) => args.json,
                ClassifierCommand::Test(args) => args.json,
            },
        }
    }
}

/// Train on the built-in digits, sample with ALS and CAS, and write a report with pictures.
///
/// Needs no data, no internet access and no arguments; takes under three minutes on two cores.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Folder of the run; the output of an earlier demo there is replaced.
    #[arg(long, default_value = "runs/demo")]
    pub out: PathBuf,
    /// Change a value of the demo's configuration; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print the result as one JSON document: train and report, each as that command has it (no
    /// report where the demo was stopped before), and seconds.
    #[arg(long)]
    pub json: bool,
}

/// Print the noise levels and step sizes that suit a data set, or a run's network.
///
/// Of data: Technique 1 of Song & Ermon 2020 gives sigma_1 (the largest distance between two
/// items), Technique 2 the number of levels L, Technique 4 the step size eps of annealed Langevin
/// sampling. The last lines are a fragment for a configuration file.
///
/// Of a run: prints its loss curve, the mean squared error of its denoised samples at each noise
/// level, and the noise levels for sampling that follow from it, as numbers and as a picture in
/// the run's folder. --measure measures the curve, once for all numbers of steps; `tweedie sample
/// RUN --set schedule=loss-curve` (or mse-dp, entropic) samples by it.
#[derive(Debug, clap::Args)]
pub struct Levels {
    /// A folder of images, an IDX, npy, npz or csv file, or a built-in set: digits, tutorial,
    /// swiss-roll, gaussians-8, gaussians-25, two-moons; or the folder of a run.
    #[arg(value_name = "DATA|RUN")]
    pub source: String,
    /// Of data: sigma_L, the smallest noise level [default: 0.01].
    #[arg(long)]
    pub sigma_min: Option<f64>,
    /// Of data: Technique 2's constant C, the overlap of neighbouring levels [default: 0.5].
    #[arg(long, value_name = "C")]
    pub overlap: Option<f64>,
    #[command(flatten)]
    pub run: LevelsOfRun,
    /// Any other key of the [data] table, for example size=32; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print the result as one JSON document: data, class_counts (of data with labels), notes,
    /// distance (Technique 1), sigma_1 (rounded up), sigma_l, overlap, count (Technique 2; null
    /// below 5 dimensions), steps (Technique 4); of a run: curve (measured and points), digest,
    /// steps, schedules (each with its sigmas; null, and refused says why, where the curve gives
    /// none), file, picture.
    #[arg(long)]
    pub json: bool,
}

/// The options of [`Levels`] for a run.
#[derive(Debug, clap::Args)]
pub struct LevelsOfRun {
    /// Of a run: measure its loss curve and keep it in loss-curve.json.
    #[arg(long)]
    pub measure: bool,
    /// With --measure: data to measure on, such as a held-out set, in place of the run's own.
    #[arg(long, value_name = "SOURCE", requires = "measure")]
    pub data: Option<String>,
    /// With --measure: how many items, chosen at random [default: 1000].
    #[arg(long, requires = "measure")]
    pub count: Option<usize>,
    /// With --measure: the seed of the choice and of the noise [default: 0].
    #[arg(long, requires = "measure")]
    pub seed: Option<u64>,
    /// With --measure: items noised at a time [default: 32].
    #[arg(long, requires = "measure")]
    pub batch: Option<usize>,
    /// With --measure: measure the checkpoint of this step, not the latest.
    #[arg(long, value_name = "STEP", requires = "measure")]
    pub checkpoint: Option<u64>,
    /// With --measure: measure the raw weights, not their moving average.
    #[arg(long, requires = "measure")]
    pub raw: bool,
    /// Of a run: the number of noise levels to show [default: 12].
    #[arg(long)]
    pub steps: Option<usize>,
}

impl LevelsOfRun {
    /// The option that is given, if one is.
    pub fn given(&self) -> Option<&'static str> {
        match self {
            Self { measure: true, .. } => Some("--measure"),
            Self { steps: Some(_), .. } => Some("--steps"),
            _ => None,
        }
    }
}

/// Train a score network from a configuration file.
///
/// Writes a run folder: the resolved configuration, statistics, checkpoints, grids of samples.
/// A run that was stopped, even by force, is resumed with --resume and gives the same result as an
/// uninterrupted one. Ctrl-C and SIGTERM finish the step and write a checkpoint first; a second one
/// ends the program at once.
#[derive(Debug, clap::Args)]
pub struct Train {
    /// The configuration; see examples/ and the README's table of keys.
    pub config: PathBuf,
    /// Change a value of the configuration, for example train.steps=500; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder of the run [default: runs/NAME, for NAME.toml].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Resume the run from its latest checkpoint.
    #[arg(long)]
    pub resume: bool,
    /// Resume from the checkpoint of this step, and keep later ones under other names; a damaged
    /// checkpoint is never skipped silently.
    #[arg(long, value_name = "STEP", requires = "resume")]
    pub checkpoint: Option<u64>,
    /// Print the resolved configuration, parameters, memory and time per step; write nothing.
    #[arg(long, conflicts_with = "resume")]
    pub dry_run: bool,
    /// Print the result as one JSON document: run, parameters, step, steps, loss, stopped, seconds,
    /// checkpoint; of a dry run config, parameters, items, seconds_per_step, peak_memory (bytes).
    #[arg(long)]
    pub json: bool,
}

/// A sampler by its name in configurations, as listed by the library.
#[derive(Clone, Copy, Debug)]
pub struct Sampler(pub SamplerKind);

impl ValueEnum for Sampler {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Sampler>> =
            LazyLock::new(|| SamplerKind::ALL.iter().copied().map(Sampler).collect());
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()).help(self.0.about()))
    }
}

/// The settings of every sampler, from the samplers' descriptions.
fn sampler_settings() -> String {
    let mut text = String::from("Settings of the samplers, for --set and the [sample] table:\n");
    for kind in SamplerKind::ALL {
        let settings = kind.description().settings;
        if !settings.is_empty() {
            text += &format!("  {kind}\n");
        }
        for setting in settings {
            let name = match setting.default {
                Some(value) => format!("{}={value}", setting.name),
                None => setting.name.to_owned(),
            };
            text += &format!("    {name}: {}; {}\n", setting.about, accepted(setting));
        }
    }
    text
}

/// The values that a setting accepts.
fn accepted(setting: &Setting) -> String {
    let values = match setting.kind {
        SettingKind::Real(reals) => format!("in {}", reals.accepted),
        SettingKind::RealPerLevel(reals) => {
            format!("in {}, or a list with one for each level", reals.accepted)
        }
        SettingKind::Count { least, .. } => format!("{least} or more"),
        SettingKind::Choice(words) => words.join(" | "),
        SettingKind::ChoiceOrReal(words, reals) => {
            format!("{} | a number in {}", words.join(" | "), reals.accepted)
        }
        SettingKind::Flag => "true | false".into(),
    };
    match setting.with {
        Some((name, words)) => format!("{values}, for {name}={}", words.join(" or ")),
        None => values,
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Precision {
    /// The network's own.
    F32,
    /// Images in bfloat16, sums in f32: faster on processors that multiply bf16; see the README
    /// for what it does to samples.
    Bf16,
}

/// Draw samples from a run.
///
/// Writes one PNG file per sample, a grid, and samples.npz (arr_0, uint8, NHWC), or, for vectors,
/// samples.npz with float32 rows and a picture. Sample k depends on its seed k alone, not on
/// --batch or on which other seeds are drawn. Samples are written as they are ready; after a stop,
/// even by force, the same command continues where it left off.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("step size").args(["eps_c", "eta", "eps_b"]))]
#[command(after_long_help = sampler_settings())]
pub struct Sample {
    /// The run's folder.
    pub run: PathBuf,
    /// A recipe that `tweedie tune` made: a number of network calls, such as 16 or best@16, for that
    /// of the run, or a file. Classes, guidance and --set still apply.
    #[arg(long, value_name = "RECIPE", conflicts_with_all = ["sampler", "steps", "n_sigma"])]
    pub recipe: Option<String>,
    /// The sampler [default: the configuration's].
    #[arg(long)]
    pub sampler: Option<Sampler>,
    /// Noise levels from sigma_max down to sigma_min [default: the configuration's].
    #[arg(long)]
    pub steps: Option<usize>,
    /// Updates at each level, for cas and als.
    #[arg(long)]
    pub n_sigma: Option<usize>,
    /// Change a key of the [sample] table: schedule=karras, or a setting of the sampler's own, for
    /// example s_churn=40; may be repeated. A wrong key is refused with a list of the valid ones.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Step size as eta = 1 - gamma^eps_c: 1 is deterministic (DDIM), 2 ancestral, up to inf.
    #[arg(long)]
    pub eps_c: Option<f64>,
    /// Step size eta itself, or the sampler's own setting of that name.
    #[arg(long, allow_negative_numbers = true)]
    pub eta: Option<f64>,
    /// Step size as the papers' eps: eta = eps_b / sigma_L^2.
    #[arg(long)]
    pub eps_b: Option<f64>,
    /// The class of the samples, for a network conditioned on classes: 3, or several in turn by
    /// the sample's seed: 0,1,2 or all [default: the configuration's].
    #[arg(long, value_name = "CLASS")]
    pub class: Option<Classes>,
    /// Weight of classifier-free guidance towards the class: 1 for none, more for samples that are
    /// more typical of it and less diverse. Takes two network calls where there was one.
    #[arg(long, value_name = "WEIGHT", allow_negative_numbers = true)]
    pub guidance: Option<f64>,
    /// The seeds of the samples, first and last.
    #[arg(long, default_value = "0-63", value_name = "A-B", value_parser = seeds)]
    pub seeds: Range<u64>,
    /// Return the final state, not the expected denoised sample.
    #[arg(long)]
    pub no_denoise: bool,
    /// Use the moving average of the weights (the default, unless the configuration says raw).
    #[arg(long, conflicts_with = "raw")]
    pub ema: bool,
    /// Use the raw weights.
    #[arg(long)]
    pub raw: bool,
    /// How a U-Net stores its images between layers, on the CPU [default: the configuration's].
    #[arg(long)]
    pub precision: Option<Precision>,
    /// Samples computed at a time.
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Use the checkpoint of this step, not the latest.
    #[arg(long, value_name = "STEP")]
    pub checkpoint: Option<u64>,
    /// Where to put the samples [default: RUN/samples/SETTINGS].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Write no PNG file for each sample, only the grid and the npz.
    #[arg(long)]
    pub grid_only: bool,
    /// Print the result as one JSON document: step, count (asked for), done, drawn (now), seconds,
    /// calls, stopped, folder, files.
    #[arg(long)]
    pub json: bool,
}

/// Compute the likelihood of data under a run's model, by the probability flow.
///
/// Gives log densities in nats, in the data's own units, and for images of integer pixel values
/// bits per dimension, with uniform dequantisation. The divergence is Hutchinson's estimate, or
/// exact for few dimensions. The density is that of data with noise sigma_min.
#[derive(Debug, clap::Args)]
pub struct Likelihood {
    /// The run's folder.
    pub run: PathBuf,
    /// Evaluation data, such as a held-out set, in place of the run's own data.
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// Change a key of the run's [data] table, for example limit=100; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Number of items, from the first on.
    #[arg(long, default_value_t = 64)]
    pub count: usize,
    /// Random vectors of Hutchinson's estimate; with 2 or more, each item has a standard error.
    #[arg(long, default_value_t = 1)]
    pub probes: usize,
    /// Compute the exact divergence, with one backward pass per dimension.
    #[arg(long, conflicts_with = "probes")]
    pub exact: bool,
    /// Relative and absolute tolerance of the solver.
    #[arg(long, default_value_t = 1e-4)]
    pub tolerance: f64,
    /// The seed of the random vectors and the dequantisation.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Items computed at a time.
    #[arg(long, default_value_t = 16)]
    pub batch: usize,
    /// Use the raw weights, not their moving average.
    #[arg(long)]
    pub raw: bool,
    /// Use the checkpoint of this step, not the latest.
    #[arg(long, value_name = "STEP")]
    pub checkpoint: Option<u64>,
    /// Where to write item, log density, standard error, bits [default:
    /// RUN/likelihood.csv, or RUN/likelihood-NAME.csv for --data NAME].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Print the result as one JSON document: step, data, count, log_density and bits_per_dim (the
    /// means, each with value and standard_error), seconds, file, items (each with item,
    /// log_density, standard_error, bits_per_dim).
    #[arg(long)]
    pub json: bool,
}

/// Measure how far samples are from data, with the uncertainty of every figure.
///
/// Prints for each feature space the squared Frechet distance (as it is, and without its 1/n bias),
/// unbiased kernel distances, precision, recall, density and coverage, and how near samples are to
/// single items; for vectors also the energy distance, the sliced Wasserstein distance and a
/// two-sample test. All errors are standard errors over repetitions. Images are measured as bytes,
/// from 0 to 1.
#[derive(Debug, clap::Args)]
pub struct Evaluate {
    /// A run, whose samples are drawn with its own settings, the output of `tweedie sample`,
    /// whatever can be data (a folder of images, an npz, npy, csv or IDX file), or statistics: an
    /// npz file with mu and sigma, as --statistics and pytorch-fid write them. Several files of
    /// statistics are merged, as those of shards.
    #[arg(required = true)]
    pub samples: Vec<PathBuf>,
    /// The data to measure against, or their statistics [default: the run's own data].
    #[arg(long, value_name = "DATA")]
    pub against: Option<String>,
    /// Write the statistics of SAMPLES in the feature space to this npz file: mu and sigma, which
    /// pytorch-fid reads, and the count, by which shards merge. Nothing is measured.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["against", "held_out", "versus", "out", "convention"]
    )]
    pub statistics: Option<PathBuf>,
    /// Print the kernel distance as another tool does, besides: torch-fidelity or clean-fid. What
    /// they print after it is a spread of overlapping subsets, not an error.
    #[arg(long, value_name = "TOOL")]
    pub convention: Vec<Convention>,
    /// Data that were not trained on: tests whether the samples are nearer to the training data,
    /// which --against then is, than these are.
    #[arg(long, value_name = "DATA")]
    pub held_out: Option<String>,
    /// Other samples at the same seeds, or another run: says which is nearer to the data, or that
    /// these samples cannot tell.
    #[arg(long, value_name = "SAMPLES")]
    pub versus: Option<PathBuf>,
    /// The feature space; may be repeated. pixels: the values themselves; pca:K: the data's K
    /// leading principal components (pca:K,SPACE: those in another space); classifier:RUN: the
    /// penultimate layer of a classifier that `tweedie classifier train` made, which also counts
    /// classes; inception:FILE: FID's Inception
    /// as pytorch-fid has it, with the weights in its pt_inception-2015-12-05-6726825d.pth, or in
    /// the same as safetensors; onnx:FILE,filter=pil-bicubic,mean=0.5,std=0.5: the output of a
    /// network, in a program built with it (the README lists the settings).
    #[arg(long, value_name = "SPACE", default_value = "pixels")]
    pub features: Vec<Space>,
    /// Change a key of the [data] table that --against and --held-out are read by, for example
    /// limit=1000; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The seeds of the samples, first and last, where they are drawn from a run.
    #[arg(long, default_value = "0-999", value_name = "A-B", value_parser = seeds)]
    pub seeds: Range<u64>,
    /// Draw a run's samples by a recipe that `tweedie tune` made: a number of network calls for that
    /// of the run, or a file.
    #[arg(long, value_name = "RECIPE")]
    pub recipe: Option<String>,
    /// Samples computed at a time.
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Use the checkpoint of this step, not the latest.
    #[arg(long, value_name = "STEP")]
    pub checkpoint: Option<u64>,
    /// The seed of halves, directions and permutations, on which the figures depend little.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Folder for a page with tables and pictures [default: RUN/evaluation, or none without a run].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Print the result as one JSON document: samples, reference, held_out, versus (name and count
    /// of each), shape, spaces (the figures of each feature space), seconds, page, files. Of
    /// statistics: samples, reference, features, dim, frechet_plain, frechet, seconds.
    #[arg(long)]
    pub json: bool,
}

/// What a run's samples are compared with, and in which features.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// The feature space in which samples are compared with data, as for evaluate: pixels, pca:K,
    /// classifier:RUN, pca:K,classifier:RUN, inception:FILE.
    #[arg(long, value_name = "SPACE", default_value = "pixels")]
    pub features: Space,
    /// The data to compare with, best not those trained on [default: the run's own].
    #[arg(long, value_name = "DATA")]
    pub against: Option<String>,
    /// Change a key of the [data] table that the data are read by, for example limit=1000; may be
    /// repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Find the best way to sample a run's network at given numbers of network calls.
///
/// Searches samplers, their amount of noise, the grid of noise levels, sigma_max and sigma_min, by
/// the Frechet distance of samples from one half of the data, with all settings at equal seeds.
/// Reports the best on fresh seeds and the other half, with its interval, and says whether it is
/// better than every other beyond doubt or one of a tie. Writes RUN/tune: a recipe for each number
/// of calls, and a page with curves, levels and samples. What was measured is kept there: the same
/// command resumes.
#[derive(Debug, clap::Args)]
pub struct Tune {
    /// The run's folder.
    pub run: PathBuf,
    /// Numbers of network calls for a sample.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "8,16,32",
        value_name = "N,N,..."
    )]
    pub calls: Vec<usize>,
    /// How long it may take, like 20m or 1h; what it is spent on is decided by a measurement of
    /// speed at the beginning.
    #[arg(long, default_value = "20m", value_parser = duration)]
    pub time: u64,
    #[command(flatten)]
    pub target: Target,
    /// A share of the best distance that does not matter: the search ends when no rival can be
    /// better by more.
    #[arg(long, default_value_t = 0.02)]
    pub epsilon: f64,
    /// The share of the time that goes to optimising each step by itself, for up to 16 calls: its
    /// noise level, its amount of noise, its multistep weight. 0 for none.
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = share)]
    pub per_step: f64,
    /// Use the checkpoint of this step, not the latest.
    #[arg(long, value_name = "STEP")]
    pub checkpoint: Option<u64>,
    /// The seed of the search, its samples and the division of the data.
    #[arg(long, default_value_t = 0)]
    pub seed: u32,
    /// Do not search: let another optimiser drive. Reads requests from standard input, a JSON line
    /// each like {"point": [0.5, 0, ...], "samples": 256, "seed": 0}: a number in 0 to 1 for each
    /// axis of the space, how many samples and which. Answers each by a line with axes, candidate,
    /// levels, distance (value, standard_error) and evaluations so far, or with error where the
    /// point is not feasible. Takes one number of calls.
    #[arg(long, conflicts_with_all = ["json", "time", "epsilon"])]
    pub points: bool,
    /// Print the result as one JSON document: step, weights, features, reference, searched,
    /// reported, found (for each number of calls), evaluations, seconds, page, files.
    #[arg(long)]
    pub json: bool,
}

/// Draw what a run's quality depends on: step size, last step, noise levels, number of steps.
///
/// Measures consistent annealed sampling by its step size at several numbers of network calls, in
/// both units, eps_b and eps_c; what a step size tuned at one of them is worth at the others;
/// annealed Langevin sampling beside it, denoised and not; grids of noise levels at equal
/// everything; and the run's own sampler with many steps beside the recipes that `tweedie tune`
/// wrote. Where `tune` searches, this explains. All settings have the same seeds. What is measured
/// is kept in RUN/tune: after an interruption the same command resumes.
///
/// Distances of features need more samples than features: pca:32,classifier:RUN is a network's
/// features in few dimensions.
#[derive(Debug, clap::Args)]
pub struct Profile {
    /// The run's folder.
    pub run: PathBuf,
    /// Numbers of network calls for a sample, 2 or more each.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "8,16,32,64,128",
        value_name = "N,N,..."
    )]
    pub calls: Vec<usize>,
    /// The number whose best step size is used at the others; ALS and CAS are compared there too.
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub tuned_at: usize,
    /// The step sizes, ascending; 1 and inf may be among them.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,1.25,1.5,2,3,5,inf",
        value_name = "EPS_C,..."
    )]
    pub eps_c: Vec<f64>,
    /// Numbers of calls at which grids of noise levels are compared.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "8,16",
        value_name = "N,N,..."
    )]
    pub grids: Vec<usize>,
    /// Samples of each setting.
    #[arg(long, default_value_t = 256, value_name = "COUNT")]
    pub samples: u64,
    /// Steps of the run's own sampler beside its recipes; 0 leaves that out.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub untuned: usize,
    #[command(flatten)]
    pub target: Target,
    /// Use the checkpoint of this step, not the latest.
    #[arg(long, value_name = "STEP")]
    pub checkpoint: Option<u64>,
    /// Folder of the page [default: RUN/tune/profile].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Print the result as one JSON document: step, weights, features, reference, items, step_size,
    /// last_step, grids, untuned, evaluations, seconds, page, files.
    #[arg(long)]
    pub json: bool,
}

/// Write a page with pictures about a run: samples, losses, noise levels, trajectories.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// The run's folder.
    pub run: PathBuf,
    /// The two numbers of steps that are compared.
    #[arg(long, num_args = 2, value_names = ["FEW", "MANY"], default_values_t = [10, 100])]
    pub steps: Vec<usize>,
    /// Use the checkpoint of this step, not the latest.
    #[arg(long, value_name = "STEP")]
    pub checkpoint: Option<u64>,
    /// Print the result as one JSON document: step, data_shown, seconds, page, files.
    #[arg(long)]
    pub json: bool,
}

/// Reproduce a figure of the papers and compare it with the original.
///
/// Trains and samples whatever the figure needs, from fixed seeds, and writes a folder: one page
/// (index.html) that states the paper's result and the one found here, every picture as PNG and
/// SVG, every table as CSV. The same seed gives the same numbers.
#[derive(Debug, clap::Args)]
pub struct Study {
    /// Which figure.
    #[arg(value_parser = studies())]
    pub name: String,
    /// Folder for the results; the output of an earlier study there is replaced [default:
    /// studies/NAME].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// The seed of data, weights and sampling.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Far fewer samples and updates: a preview within seconds, with rough numbers.
    #[arg(long)]
    pub quick: bool,
    /// Print the result as one JSON document: study, seed, quick, seconds, page, files.
    #[arg(long)]
    pub json: bool,
}

/// Train a classifier on labelled data, and test it.
///
/// Its features and its calibrated probabilities are what samples are measured in where no
/// pretrained network fits, such as MNIST's.
#[derive(Debug, clap::Args)]
pub struct Classifier {
    #[command(subcommand)]
    pub command: ClassifierCommand,
}

#[derive(Debug, Subcommand)]
pub enum ClassifierCommand {
    Train(ClassifierTrain),
    Test(ClassifierTest),
}

/// Train a classifier as a configuration file says, and calibrate it on data held out.
///
/// Writes a run folder: the resolved configuration, statistics, checkpoints, and calibration.json
/// with the temperature. A run that was stopped, even by force, continues with --resume as if it
/// had not been. Ctrl-C and SIGTERM finish the step and write a checkpoint first; a second one
/// leaves at once.
#[derive(Debug, clap::Args)]
pub struct ClassifierTrain {
    /// The configuration, whose [data] has labels; see examples/*-classifier.toml.
    pub config: PathBuf,
    /// Change a value of the configuration, for example train.steps=500; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder of the run [default: runs/NAME, for NAME.toml].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Continue the run from its latest checkpoint.
    #[arg(long)]
    pub resume: bool,
    /// Continue from the checkpoint of this step, and set later ones aside; a damaged one is never
    /// passed over unasked.
    #[arg(long, value_name = "STEP", requires = "resume")]
    pub checkpoint: Option<u64>,
    /// Print the result as one JSON document: what `tweedie train` has, calibration (of the items
    /// held out: count, correct, temperature, temperature_error, before, after) and test (as `tweedie
    /// classifier test` has it; null without test data).
    #[arg(long)]
    pub json: bool,
}

/// Count how often a classifier is right, and how far its probabilities can be trusted.
///
/// Prints the accuracy with Wilson's 95 % interval, the negative log likelihood and the expected
/// calibration error before and after the run's temperature, and which classes are taken for which.
#[derive(Debug, clap::Args)]
pub struct ClassifierTest {
    /// The run's folder.
    pub run: PathBuf,
    /// Labelled data, read as the run's own are [default: the configuration's test].
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// Change a key of the [data] table these are read by, for example labels=PATH; may be
    /// repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Use the checkpoint of this step, not the latest.
    #[arg(long, value_name = "STEP")]
    pub checkpoint: Option<u64>,
    /// Print the result as one JSON document: step, data, accuracy (count, of, value, interval),
    /// temperature (null where the run is not calibrated), before and after (log_loss,
    /// log_loss_error, calibration_error), classes, confusion (a row for each class), seconds.
    #[arg(long)]
    pub json: bool,
}

/// The studies, with the figure that each reproduces.
fn studies() -> PossibleValuesParser {
    let value = |study: &tweedie_study::Study| PossibleValue::new(study.name).help(study.about);
    PossibleValuesParser::new(STUDIES.iter().map(value))
}

/// Parses `A-B`, both included, or a single number.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last && last < u64::MAX => Ok(first..last + 1),
        (Some(first), Some(last)) if first > last => {
            Err("the first number is larger than the last".into())
        }
        (Some(_), Some(_)) => Err("the last number is too large".into()),
        _ => Err("write the first and the last number, like 0-63".into()),
    }
}

/// A share, from 0 to below 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.trim().parse::<f64>().unwrap_or(f64::NAN);
    match (0.0..1.0).contains(&share) {
        true => Ok(share),
        false => Err("write a share from 0 to below 1, like 0.3".into()),
    }
}

/// Seconds of a duration like 90s, 20m, 1.5h.
fn duration(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (number, unit) = match text.char_indices().last() {
        Some((last, 's')) => (&text[..last], 1.0),
        Some((last, 'm')) => (&text[..last], 60.0),
        Some((last, 'h')) => (&text[..last], 3600.0),
        _ => (text, f64::NAN),
    };
    let seconds = number.trim().parse::<f64>().unwrap_or(f64::NAN) * unit;
    match (1.0..=1e8).contains(&seconds) {
        true => Ok(seconds as u64),
        false => Err("write a number with s, m or h, like 90s, 20m or 1.5h".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration("90s"), Ok(90));
        assert_eq!(duration("1.5h"), Ok(5400));
        for wrong in ["", "m", "20", "-1m", "0s", "nans", "é", "1e30h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seeds_are_read_with_both_ends() {
        assert_eq!(seeds("3-5"), Ok(3..6));
        assert_eq!(seeds("7"), Ok(7..8));
        for wrong in ["5-3", "", "a-b", "-1", "0-18446744073709551615"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }
}
