//! The class of every item, and the names of the classes.

use std::collections::BTreeSet;
use std::path::Path;

use super::array::{Array, Values};
use crate::error::{Error, Result};

/// The most classes that labels may name.
pub const MOST_CLASSES: usize = 65_536;

/// The class of every item of a data set, in the order of the items.
///
/// Integer labels are class indices: label 3 is class 3, named "3", and the largest label sets the
/// number of classes, whether or not each occurs. Labels that are words are numbered in
/// lexicographic order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    values: Vec<u32>,
    classes: Vec<String>,
}

impl Labels {
    /// The labels `values`, each the index of its class in `classes`.
    ///
    /// # Errors
    /// No class or more than [`MOST_CLASSES`], or a label that is no index into `classes`.
    pub fn new(values: Vec<u32>, classes: Vec<String>) -> Result<Self> {
        if !(1..=MOST_CLASSES).contains(&classes.len()) {
            let reason = format!("give 1 to {MOST_CLASSES} classes");
            return Err(Error::setting("classes", classes.len(), reason));
        }
        match values
            .iter()
            .find(|&&label| label as usize >= classes.len())
        {
            Some(label) => {
                let reason = format!("there are {} classes, from 0", classes.len());
                Err(Error::setting("label", label, reason))
            }
            None => Ok(Self { values, classes }),
        }
    }

    /// The class of each item, an index into [`Labels::classes`].
    pub fn values(&self) -> &[u32] {
        &self.values
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How many items each class has, in the order of [`Labels::classes`].
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &label in &self.values {
            counts[label as usize] += 1;
        }
        counts
    }

    /// The number of labels.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Keeps the first `n` labels; the classes stay.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.values.truncate(n);
    }

    /// Splits off the labels from `n` on; both parts keep all classes.
    pub(crate) fn split_off(&mut self, n: usize) -> Self {
        Self {
            values: self.values.split_off(n.min(self.values.len())),
            classes: self.classes.clone(),
        }
    }

    /// Labels that are class indices; the classes are named by their numbers.
    pub(crate) fn numbered(path: &Path, values: Vec<u32>) -> Result<Self> {
        let count = values
            .iter()
            .max()
            .map_or(0, |&largest| largest as usize + 1);
        if count > MOST_CLASSES {
            let reason = format!("the label {} is beyond {MOST_CLASSES} classes", count - 1);
            return Err(Error::content(path, reason));
        }
        let classes = (0..count).map(|class| class.to_string()).collect();
        Self::new(values, classes)
    }

    /// One label per item from the array of a file, `[N]` or `[N, 1]`, bytes or whole numbers.
    pub(crate) fn from_array(path: &Path, array: Array) -> Result<Self> {
        let Array { dims, values } = array;
        if !matches!(dims[..], [_] | [_, 1]) || values.is_empty() {
            let reason = format!(
                "an array of shape {dims:?} holds no labels; give one whole number per item, [N]"
            );
            return Err(Error::content(path, reason));
        }
        let values = match values {
            Values::U8(values) => values.into_iter().map(u32::from).collect(),
            Values::F32(values) => {
                let labels = values.into_iter().enumerate();
                let labels = labels.map(|(i, value)| {
                    class_number(f64::from(value))
                        .map_err(|what| Error::content(path, format!("item {i}: {what}")))
                });
                labels.collect::<Result<_>>()?
            }
        };
        Self::numbered(path, values)
    }

    /// One label per item as text: class indices where every text is a number, class names
    /// otherwise. `place` names item i in messages.
    pub(crate) fn from_text(
        path: &Path,
        texts: &[String],
        place: impl Fn(usize) -> String,
    ) -> Result<Self> {
        let numbers: Option<Vec<f64>> = texts.iter().map(|text| text.parse().ok()).collect();
        if let Some(numbers) = numbers {
            let labels = numbers.into_iter().enumerate();
            let labels = labels.map(|(i, value)| {
                class_number(value)
                    .map_err(|what| Error::content(path, format!("{}: {what}", place(i))))
            });
            return Self::numbered(path, labels.collect::<Result<_>>()?);
        }
        if let Some(i) = texts.iter().position(String::is_empty) {
            let reason = format!("{}: the label is empty; name a class", place(i));
            return Err(Error::content(path, reason));
        }
        Self::named(path, texts)
    }

    /// One name per item; the classes are the distinct names, sorted.
    pub(crate) fn named(path: &Path, names: &[String]) -> Result<Self> {
        let classes: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        if classes.len() > MOST_CLASSES {
            let reason = format!(
                "its labels name {} classes, but {MOST_CLASSES} is the most; are they labels?",
                classes.len()
            );
            return Err(Error::content(path, reason));
        }
        let classes: Vec<String> = classes.into_iter().map(String::from).collect();
        // Every name is among the classes, which were collected from the names.
        let place = |name: &String| classes.binary_search(name).unwrap_or_default() as u32;
        Self::new(names.iter().map(place).collect(), classes)
    }
}

/// A label as a class index, or the reason why it is none.
fn class_number(value: f64) -> Result<u32, String> {
    if value.fract() != 0.0 {
        return Err(format!("the label {value} is not a whole number"));
    }
    if value < 0.0 {
        return Err(format!(
            "the label {value} is negative; classes count from 0"
        ));
    }
    if value >= MOST_CLASSES as f64 {
        return Err(format!(
            "the label {value} is beyond {MOST_CLASSES} classes"
        ));
    }
    Ok(value as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn array(dims: &[usize], values: &[f32]) -> Result<Labels> {
        let values = Values::F32(values.to_vec());
        let dims = dims.to_vec();
        Labels::from_array(Path::new("l"), Array { dims, values })
    }

    fn texts(texts: &[&str]) -> Result<Labels> {
        let texts: Vec<String> = texts.iter().map(|&text| text.into()).collect();
        Labels::from_text(Path::new("l"), &texts, |i| format!("line {i}"))
    }

    #[test]
    fn numbers_are_the_classes_numbers() {
        let labels = array(&[3, 1], &[2.0, 0.0, 2.0]).unwrap();
        assert_eq!(labels.values(), [2, 0, 2]);
        assert_eq!(labels.classes(), ["0", "1", "2"]);
        assert_eq!(labels.counts(), [1, 0, 2]);
        assert_eq!(texts(&["2", "0", "2.0"]).unwrap(), labels);
        let bytes = Array {
            dims: vec![3],
            values: Values::U8(vec![2, 0, 2]),
        };
        assert_eq!(Labels::from_array(Path::new("l"), bytes).unwrap(), labels);
    }

    #[test]
    fn words_are_numbered_in_their_order() {
        let labels = texts(&["setosa", "iris", "setosa", "7"]).unwrap();
        assert_eq!(labels.classes(), ["7", "iris", "setosa"]);
        assert_eq!(labels.values(), [2, 1, 2, 0]);
    }

    #[test]
    fn what_is_no_label_is_refused() {
        let refused = |labels: Result<Labels>, words: &str| {
            let error = labels.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        refused(
            array(&[2], &[0.0, 1.5]),
            "item 1: the label 1.5 is not a whole",
        );
        refused(
            array(&[2], &[0.0, -1.0]),
            "item 1: the label -1 is negative",
        );
        refused(array(&[1], &[f32::NAN]), "the label NaN is not a whole");
        refused(
            array(&[1], &[f32::INFINITY]),
            "the label inf is not a whole",
        );
        refused(array(&[1], &[65_536.0]), "65536 is beyond 65536 classes");
        assert_eq!(array(&[1], &[65_535.0]).unwrap().classes().len(), 65_536);
        refused(array(&[1, 2], &[0.0, 1.0]), "[1, 2] holds no labels");
        refused(array(&[0], &[]), "holds no labels");
        refused(texts(&["1", "2.5"]), "line 1: the label 2.5 is not a whole");
        refused(texts(&["1", "-2"]), "line 1: the label -2 is negative");
        refused(texts(&["a", ""]), "line 1: the label is empty");
        let many: Vec<String> = (0..=MOST_CLASSES).map(|i| format!("c{i}")).collect();
        refused(Labels::named(Path::new("l"), &many), "name 65537 classes");
        assert!(Labels::new(vec![2], vec!["a".into(), "b".into()]).is_err());
        assert!(Labels::new(vec![], vec![]).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_labels_never_panic_and_name_their_classes(
            values in proptest::collection::vec(any::<f32>(), 0..20),
            words in proptest::collection::vec("[0-9a.eE+-]{0,4}", 0..20),
        ) {
            let dims = [values.len()];
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            for labels in [array(&dims, &values), texts(&words)].into_iter().flatten() {
                let classes = labels.classes().len();
                prop_assert!(labels.values().iter().all(|&label| (label as usize) < classes));
                prop_assert_eq!(labels.counts().iter().sum::<usize>(), labels.len());
            }
        }
    }
}
