//! How to choose the noise for a data set: Song and Ermon, "Improved techniques for training
//! score-based generative models", 2020 (NCSNv2). Technique 3 is a property of the network.

mod technique_1;
mod technique_2;
mod technique_4;

pub use technique_1::{InitialNoise, technique_1};
pub use technique_2::{LevelCount, technique_2};
pub use technique_4::{StepChoice, stationarity, technique_4};
