//! Classifiers: trained from labelled data as score networks are, in runs of the same kind;
//! calibrated; and tested.

mod calibration;
mod config;
mod model;
mod session;
mod split;
mod test;
mod training;

pub use calibration::Calibration;
pub use config::{ClassifierConfig, ClassifierTable};
pub use model::{Classified, Classifier};
pub use session::{ClassifierSession, ClassifierTrained};
pub use test::{ClassifierTest, test_classifier};
