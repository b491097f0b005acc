//! Runs: the configuration a user writes, the folder of a run, and the jobs that connect the parts
//! of the library: train, sample, likelihood, levels, report.

mod classes;
mod classifier;
mod config;
mod continued;
mod directory;
mod draw;
mod evaluate;
mod export;
mod levels;
mod likelihood;
mod lock;
mod loss_curve;
mod manifest;
mod noise_kind;
mod recipe;
mod report;
mod sample;
mod sample_config;
mod sampling_schedule;
mod signals;
mod stats;
mod train;
mod training_loop;
mod window;

pub use classes::Classes;
pub use classifier::{
    Calibration, Classified, Classifier, ClassifierConfig, ClassifierSession, ClassifierTable,
    ClassifierTest, ClassifierTrained, test_classifier,
};
pub use config::{Config, NoiseConfig};
pub use directory::{DataCard, RunDir};
pub use draw::{Draw, Drawn, Model};
pub use evaluate::{
    Compared, Convention, EvaluateJob, Evaluation, FeatureExtractor, InSpace, OfClasses,
    OfConvention, OfStatistics, OfVectors, OnnxSpace, Quantiles, SetCard, Sets, Side, Space,
    StatisticsJob, Versus, draw_items, drawn_items, evaluate, evaluate_statistics, statistics,
};
pub use levels::{LangevinStep, LevelsReport, largest_distance, levels};
pub use likelihood::{ItemLikelihood, LikelihoodJob, Likelihoods, likelihoods};
pub use lock::Lock;
pub use loss_curve::{
    KeptCurve, LevelsBySchedule, LossCurveJob, RunLevels, measure_loss_curve, show_levels,
};
pub use noise_kind::NoiseKind;
pub use recipe::{Recipe, RecipeOrigin};
pub use report::{ReportOptions, Reported, write_report};
pub use sample::{SampleJob, Sampled, sample};
pub use sample_config::{Clip, SampleConfig};
pub use sampling_schedule::SamplingSchedule;
pub use stats::{Line, Stats};
pub use train::{Plan, Session};
pub use training_loop::{Event, Trained};
