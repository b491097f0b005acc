//! Runs: the configuration a user writes, the folder of a run, and the jobs that connect the parts
//! of the library: train, sample, likelihood, levels, report.

mod classes;
mod config;
mod directory;
mod draw;
mod evaluate;
mod export;
mod levels;
mod likelihood;
mod lock;
mod manifest;
mod noise_kind;
mod report;
mod sample;
mod sample_config;
mod signals;
mod stats;
mod train;
mod window;

pub use classes::Classes;
pub use config::{Config, NoiseConfig};
pub use directory::{DataCard, RunDir};
pub use draw::{Draw, Drawn, Model};
pub use evaluate::{
    Compared, EvaluateJob, Evaluation, InSpace, OfVectors, Quantiles, SetCard, Sets, Space, Versus,
    draw_items, evaluate,
};
pub use levels::{LangevinStep, LevelsReport, largest_distance, levels};
pub use likelihood::{ItemLikelihood, LikelihoodJob, Likelihoods, likelihoods};
pub use lock::Lock;
pub use noise_kind::NoiseKind;
pub use report::{ReportOptions, Reported, write_report};
pub use sample::{SampleJob, Sampled, sample};
pub use sample_config::{Clip, SampleConfig};
pub use stats::{Line, Stats};
pub use train::{Event, Plan, Session, Trained};
