//! Parameters by name from a file, and what is wrong with them.

use std::collections::BTreeSet;

use burn::tensor::Device;

use crate::error::{Error, Result};
use crate::weights::WeightFile;

/// Names that a message gives at most.
const NAMED: usize = 3;

/// The parameters of a file, of which it is noted what was taken.
pub(super) struct Parameters<'a> {
    file: &'a WeightFile,
    device: &'a Device,
    taken: BTreeSet<String>,
    missing: Vec<String>,
    misshapen: Vec<String>,
    infinite: Vec<String>,
}

impl<'a> Parameters<'a> {
    pub fn new(file: &'a WeightFile, device: &'a Device) -> Self {
        Self {
            file,
            device,
            taken: BTreeSet::new(),
            missing: Vec::new(),
            misshapen: Vec::new(),
            infinite: Vec::new(),
        }
    }

    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// The values of `name`; zeros where it is missing or of another shape, which
    /// [`Parameters::finish`] then refuses.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Vec<f32> {
        let zeros = || vec![0.0; shape.iter().product()];
        self.taken.insert(name.to_owned());
        let Some(found) = self.file.describe(name) else {
            self.missing.push(name.to_owned());
            return zeros();
        };
        if found.shape != shape || !found.dtype.is_float() {
            let (dtype, found) = (found.dtype, found.shape);
            self.misshapen
                .push(format!("{name} is {found:?} of {dtype}, not {shape:?}"));
            return zeros();
        }
        self.file
            .array(name)
            .map_or_else(zeros, |array| array.values)
    }

    /// Notes a layer whose values are not finite.
    pub fn check_finite(&mut self, layer: &str, values: &[&[f32]]) {
        if values
            .iter()
            .any(|values| values.iter().any(|value| !value.is_finite()))
        {
            self.infinite.push(layer.to_owned());
        }
    }

    /// Everything was asked for: refuses a file of another network.
    pub fn finish(self) -> Result<()> {
        let others: Vec<String> = self
            .file
            .names()
            .filter(|name| !self.taken.contains(*name) && !is_ignored(name))
            .map(String::from)
            .collect();
        let found: Vec<String> = [
            ("missing", &self.missing),
            ("of another shape", &self.misshapen),
            ("not its own", &others),
            ("not finite", &self.infinite),
        ]
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| summary(what, names))
        .collect();
        if found.is_empty() {
            return Ok(());
        }
        let reason = format!(
            "these are not the weights of FID's Inception: {}; take pytorch-fid's \
             pt_inception-2015-12-05-6726825d.pth, or the same as safetensors",
            found.join("; ")
        );
        Err(Error::content(self.file.path(), reason))
    }
}

/// What the published file has besides: it is not needed for features.
fn is_ignored(name: &str) -> bool {
    name.starts_with("fc.")
        || name.starts_with("AuxLogits.")
        || name.ends_with(".bn.num_batches_tracked")
}

/// How many are wrong in this way, and the first of them.
fn summary(what: &str, names: &[String]) -> String {
    let first = names
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let more = match names.len() > NAMED {
        true => ", ...",
        false => "",
    };
    format!("{} {what} ({first}{more})", names.len())
}
