//! Training as a composition: a network with its optimiser is a [`Group`], what it is trained for
//! an [`Objective`], and an [`Alternation`] gives each its turns. [`Trainer`] is that of one score
//! network by denoising score matching.

mod alternation;
mod batch;
mod checkpoint;
mod config;
mod cross_entropy;
mod denoising;
mod gradient;
mod group;
mod labelled;
mod losses;
mod objective;
mod optimiser;
mod order;
mod phase;
mod schedule;
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
pub use losses::{LevelLoss, Losses};
pub use objective::{Draw, ExampleLosses, Networks, Objective};
pub use optimiser::{Adam, AdamConfig, DeviceAdam, UpdateNumbers};
pub use phase::{Phase, UpdateReport};
pub use schedule::{LearningRate, Schedule, ema_decay};
pub use score_matching::{Factors, LossConfig, ScoreMatching, Weighting};
pub use trainer::{StepReport, Trainer};
