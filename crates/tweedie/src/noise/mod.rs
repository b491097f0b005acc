//! Noise levels: the sequences samplers descend, the laws networks train on, and how to choose
//! both for a data set.

mod level;
mod levels;
mod normal;
mod path;
mod process;
mod techniques;
mod training;

pub use level::{Coordinates, Level};
pub use levels::Levels;
pub use normal::{normal_cdf, normal_quantile};
pub use path::{Path, Step};
pub use process::Process;
pub use techniques::{
    InitialNoise, LevelCount, StepChoice, stationarity, technique_1, technique_2, technique_4,
};
pub use training::TrainingNoise;
