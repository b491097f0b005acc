//! Noise levels: the sequences that samplers descend, the distributions that networks train on, and
//! how to choose both for a data set.

mod cosine;
mod level;
mod levels;
mod loss_curve;
mod normal;
mod path;
mod process;
mod schedule;
mod techniques;
mod timesteps;
mod training;

pub use cosine::cosine_level;
pub use level::{Coordinates, Level};
pub use levels::Levels;
pub use loss_curve::{LossCurve, LossPoint, LossSchedule, Measured};
pub use normal::{normal_cdf, normal_quantile};
pub use path::{Path, Step};
pub use process::Process;
pub(crate) use schedule::RHO;
pub use schedule::{Schedule, TimestepTable};
pub use techniques::{
    InitialNoise, LevelCount, StepChoice, stationarity, technique_1, technique_2, technique_4,
};
pub use timesteps::{Spacing, Timesteps};
pub use training::TrainingNoise;
