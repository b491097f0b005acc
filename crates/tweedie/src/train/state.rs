//! Conversion between a trainer's state and the sections of a checkpoint.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::nn::values::checked;
use crate::nn::{Array, ByName};

/// The arrays of each section, by parameter.
pub(super) type Sections = BTreeMap<String, ByName<Array>>;

/// A section of the arrays of `values`.
pub(super) fn section<T>(
    shapes: &ByName<Vec<usize>>,
    values: &ByName<T>,
    array: impl Fn(&T) -> Vec<f32>,
) -> ByName<Array> {
    let arrays = shapes.iter().zip(values.values());
    let arrays = arrays.map(|((name, shape), values)| {
        let (shape, values) = (shape.clone(), array(values));
        (name.clone(), Array { shape, values })
    });
    arrays.collect()
}

/// The values of the section `name`, whose arrays must be those of a network of `shapes`.
///
/// # Errors
/// When the section is missing, or names the first array that differs.
pub(super) fn values(
    name: &str,
    shapes: &ByName<Vec<usize>>,
    section: Option<ByName<Array>>,
) -> Result<ByName<Vec<f32>>> {
    let Some(section) = section else {
        let reason = "the checkpoint has no such section: it was written by another kind of \
                      training";
        return Err(Error::setting("section", name, reason));
    };
    let checked = checked(shapes, section);
    checked.map_err(|error| error.within(name))
}

/// Takes out the sections of the network `name`: those named `NAME/...`, or those without a prefix
/// where the name is empty.
pub(super) fn sections_of(sections: &mut Sections, name: &str) -> Sections {
    let mut found = Sections::new();
    sections.retain(|section, arrays| {
        let own = match section.split_once('/') {
            Some((network, own)) if network == name => own,
            None if name.is_empty() => section,
            _ => return true,
        };
        found.insert(own.to_owned(), std::mem::take(arrays));
        false
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes() -> ByName<Vec<usize>> {
        ByName::from([("a".to_owned(), vec![2]), ("b".to_owned(), vec![1, 3])])
    }

    fn arrays() -> ByName<Array> {
        let values = ByName::from([("a".into(), vec![1.0, 2.0]), ("b".into(), vec![3.0; 3])]);
        section(&shapes(), &values, Vec::clone)
    }

    #[test]
    fn arrays_of_another_network_are_named() {
        let found = values("model", &shapes(), Some(arrays())).unwrap();
        assert_eq!(found["a"], [1.0, 2.0]);
        let refused = |arrays| {
            let error = values("model", &shapes(), arrays).unwrap_err();
            error.to_string()
        };
        assert!(refused(None).starts_with("section = model"));
        let mut less = arrays();
        less.remove("b");
        assert!(refused(Some(less)).starts_with("model.parameter = b: is missing"));
        let mut more = arrays();
        more.insert("c".into(), arrays()["a"].clone());
        assert!(refused(Some(more)).starts_with("model.parameter = c: the network has no such"));
        let mut other = arrays();
        other.insert("b".into(), arrays()["a"].clone());
        let error = refused(Some(other));
        assert!(
            error.contains("[2] where the network has [1, 3]"),
            "{error}"
        );
    }

    #[test]
    fn sections_are_shared_out_by_network() {
        let names = ["model", "ema", "d/model", "d/adam.first", "e/model"];
        let mut all: Sections = names.iter().map(|n| ((*n).to_owned(), arrays())).collect();
        let keys = |sections: Sections| sections.into_keys().collect::<Vec<_>>().join(" ");
        assert_eq!(keys(sections_of(&mut all, "d")), "adam.first model");
        assert_eq!(keys(sections_of(&mut all, "")), "ema model");
        assert_eq!(keys(all), "e/model");
    }
}
