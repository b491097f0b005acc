//! Training as a composition: a [`Group`] is a network with its optimiser, an [`Objective`] is the
//! loss it is trained on, and an [`Alternation`] updates the networks in turn. [`Trainer`] is the
//! special case of one score network under denoising score matching.

mod alternation;
mod batch;
mod checkpoint;
mod config;
mod cross_entropy;
mod denoising;
mod gradient;
mod group;
mod labelled;
mod learning_rate;
mod losses;
mod objective;
mod optimiser;
mod order;
mod phase;
mod score_matching;
mod state;
mod sums;
mod trainer;

pub use alternation::Alternation;
pub use batch::Examples;
pub use checkpoint::{About, Checkpoint, Checkpoints, digest};
pub use config::TrainConfig;
pub use cross_entropy::{CrossEntropy, cross_entropy};
pub use denoising::{Denoising, HalfSquares, Prediction, Term};
pub use gradient::{Clip, Hook, NetworkGradient, Turn};
pub use group::{Group, GroupConfig};
pub use labelled::{Augmentation, LabelledExamples};
pub use learning_rate::{LearningRate, LearningRateSchedule, ema_decay};
pub use losses::{LevelLoss, Losses};
pub use objective::{Draw, ExampleLosses, Networks, Objective};
pub use optimiser::{Adam, AdamConfig, DeviceAdam, UpdateNumbers};
pub use phase::{Phase, UpdateReport};
pub use score_matching::{Factors, LossConfig, ScoreMatching, Weighting};
pub use trainer::{StepReport, Trainer};
