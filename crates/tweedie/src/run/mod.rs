//! Runs: the configuration a user writes, the folder a run lives in, and the two jobs that tie
//! the library together, training and sampling.

mod config;
mod directory;
mod draw;
mod export;
mod levels;
mod likelihood;
mod noise_kind;
mod report;
mod sample_config;
mod train;

pub use config::{Config, NoiseConfig};
pub use directory::{DataCard, Line, RunDir};
pub use draw::{Draw, Drawn, Model, Progress};
pub use export::export;
pub use levels::{LevelsReport, largest_distance, levels};
pub use likelihood::{ItemLikelihood, LikelihoodJob, likelihoods};
pub use noise_kind::NoiseKind;
pub use report::{ReportOptions, write_report};
pub use sample_config::{Clip, SampleConfig};
pub use train::{Event, Plan, Session};
