//! The job `classifier test`: how often a classifier is right on labelled data, which classes it
//! takes for which, and how good its probabilities are.

use std::time::Instant;

use serde::Serialize;

use super::Classifier;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::measure::{Proportion, Reliability};

/// What a classifier makes of labelled data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassifierTest {
    /// The checkpoint's step.
    pub step: u64,
    /// What the data are called.
    pub data: String,
    /// How many items are classified right.
    pub accuracy: Proportion,
    /// The temperature of the probabilities; none where the run has no calibration.
    pub temperature: Option<f64>,
    /// The probabilities at temperature 1.
    pub before: Reliability,
    /// Those at the temperature.
    pub after: Reliability,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// How many items of each class (a row) were taken for each class (a column).
    pub confusion: Vec<Vec<u64>>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Tests `classifier` on `data`, whose labels must name classes that it knows.
///
/// # Errors
/// When the data have no labels, a label of another class, or items of another shape;
/// [`Error::Stopped`] where `monitor` says so.
pub fn test_classifier(
    classifier: &Classifier,
    data: &Dataset,
    monitor: &mut Monitor<'_>,
) -> Result<ClassifierTest> {
    let began = Instant::now();
    classifier.check(data)?;
    let labels = known_labels(classifier, data)?;
    let logits = classifier.logits_of(data, labels, monitor)?;
    let classes = classifier.classes().to_vec();
    let mut confusion = vec![vec![0; classes.len()]; classes.len()];
    for (&label, found) in logits.labels().iter().zip(logits.predicted()) {
        confusion[label as usize][found as usize] += 1;
    }
    Ok(ClassifierTest {
        step: classifier.step(),
        data: data.name().to_owned(),
        accuracy: Proportion::new(logits.correct(), logits.len() as u64),
        temperature: classifier.calibration().map(|found| found.temperature),
        before: logits.reliability(1.0),
        after: logits.reliability(classifier.temperature()),
        classes,
        confusion,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// The labels of `data` as the classifier numbers its classes, which go by their names.
fn known_labels(classifier: &Classifier, data: &Dataset) -> Result<Vec<u32>> {
    let Some(labels) = data.labels() else {
        let reason = format!(
            "{} was read without labels, which a test needs; set labels = true, or name where they \
             are",
            data.name()
        );
        return Err(Error::setting("labels", "false", reason));
    };
    let known = classifier.classes();
    let places: Vec<Option<u32>> = labels
        .classes()
        .iter()
        .map(|name| known.iter().position(|k| k == name).map(|k| k as u32))
        .collect();
    let of = |&label: &u32| {
        places[label as usize].ok_or_else(|| {
            const MOST: usize = 12;
            let names: Vec<&str> = known.iter().take(MOST).map(|name| &name[..]).collect();
            let dots = if known.len() > MOST { ", .." } else { "" };
            let reason = format!(
                "{} has items of the class '{}', which the classifier does not know; it knows \
                 {}{dots}",
                data.name(),
                labels.classes()[label as usize].escape_debug(),
                names.join(", ")
            );
            Error::setting("labels", "given", reason)
        })
    };
    labels.values().iter().map(of).collect()
}
