//! Training by denoising score matching: objective, optimiser, checkpoints, the loop.

mod adam;
mod batch;
mod checkpoint;
mod losses;
mod objective;
mod sums;
mod trainer;

pub use adam::{Adam, AdamConfig, LearningRate, Schedule, ema_decay};
pub use checkpoint::{About, Checkpoint, Checkpoints, digest};
pub use losses::{LevelLoss, Losses};
pub use objective::{Factors, LossConfig, Objective, Weighting};
pub use trainer::{StepReport, TrainConfig, Trainer};
