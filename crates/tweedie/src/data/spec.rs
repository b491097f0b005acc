//! The `[data]` table of a configuration, and which options apply to which source.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::label_source::LabelSource;
use super::range::check_interval;
use crate::error::{Error, Result};

/// The interval that images are mapped to where the table does not say.
const DEFAULT_RANGE: [f64; 2] = [0.0, 1.0];
/// The largest side that images are resized to.
const MOST_SIZE: usize = 8192;

/// How images are brought to one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// They already have it; anything else is an error.
    #[default]
    Exact,
    /// Resized to `size` x `size`, whatever their aspect.
    Resize,
    /// The largest square in the middle, resized to `size` x `size`.
    Crop,
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Resize => "resize",
            Self::Crop => "crop",
        })
    }
}

/// What the items of a file are, where the file itself does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// As the rank of the array says: vectors `[N, D]`, images `[N, H, W]`, `[N, H, W, C]` or
    /// `[N, C, H, W]`.
    #[default]
    Auto,
    /// Signals: `[N, T]` or `[N, C, T]`; a row of a csv file is a signal of one channel.
    Signal,
}

impl Kind {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// Which data to read, and how. Only `source` is required.
///
/// Options that do not apply to the source are refused by [`open`](super::open), not ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    /// A built-in name (see [`BUILT_IN`](super::BUILT_IN)) or a path: an IDX file (plain or
    /// gzipped), .npy, .npz, .csv, or a folder of PNG, JPEG and WebP images. Relative paths are
    /// taken from the working directory; write `./digits` for a path that looks like a name.
    pub source: String,
    /// Files of arrays: what their items are.
    #[serde(default, skip_serializing_if = "Kind::is_auto")]
    pub kind: Kind,
    /// Where the class of each item is read from; by default it is not read.
    #[serde(default, skip_serializing_if = "LabelSource::is_none")]
    pub labels: LabelSource,
    /// Synthetic sets: how many points to draw, at least 1; 10000 by default, 1024 for
    /// `tutorial`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// Synthetic sets: the seed. Point i depends on the seed and i alone.
    #[serde(default)]
    pub seed: u64,
    /// Images: the side in pixels, 1 to 8192. Under `fit = "exact"` a check, else a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// Images: how they are brought to one size.
    #[serde(default)]
    pub fit: Fit,
    /// Images: 1 (grey, the luma of BT.601) or 3 (grey is repeated); by default as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Images: the interval of model values, `[0, 1]` by default. Bytes are mapped onto it from
    /// 0 to 255 (the built-in digits from 0 to 16). Float images are taken as they are, and must
    /// lie in it.
    #[serde(default = "default_range")]
    pub range: [f64; 2],
    /// Vectors and signals: map to mean 0 and standard deviation 1, both one number for the whole
    /// set (after `limit`), so that shapes keep their proportions. Without it vectors are taken as
    /// they are.
    #[serde(default)]
    pub standardise: bool,
    /// Keep the first so many items, at least 1; folders are sorted by name. The classes are
    /// those of all items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

fn default_range() -> [f64; 2] {
    DEFAULT_RANGE
}

impl DataSpec {
    /// The spec that names `source` and leaves all else at its default.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            kind: Kind::Auto,
            labels: LabelSource::None,
            count: None,
            seed: 0,
            size: None,
            fit: Fit::Exact,
            channels: None,
            range: DEFAULT_RANGE,
            standardise: false,
            limit: None,
        }
    }

    /// Refuses values that no source takes.
    pub(crate) fn check(&self) -> Result<()> {
        check_interval("range", self.range)?;
        for (name, value) in [("limit", self.limit), ("count", self.count)] {
            if value == Some(0) {
                return Err(Error::setting(
                    name,
                    0,
                    "give at least 1, or leave it out for all",
                ));
            }
        }
        if let Some(size) = self.size.filter(|size| !(1..=MOST_SIZE).contains(size)) {
            let reason = format!("give a side from 1 to {MOST_SIZE} pixels");
            return Err(Error::setting("size", size, reason));
        }
        if self.fit != Fit::Exact && self.size.is_none() {
            let reason = "needs the side to come to; set size, such as size = 32";
            return Err(Error::setting("fit", self.fit, reason));
        }
        match self.channels {
            Some(c) if c != 1 && c != 3 => {
                Err(Error::setting("channels", c, "give 1 (grey) or 3 (colour)"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what only synthetic sets take.
    pub(crate) fn check_not_synthetic(&self) -> Result<()> {
        if let Some(count) = self.count {
            let reason = "only synthetic sets can be drawn to a count; use limit for this source";
            return Err(Error::setting("count", count, reason));
        }
        if self.seed != 0 {
            let reason = "only synthetic sets are drawn; remove seed for this source";
            return Err(Error::setting("seed", self.seed, reason));
        }
        Ok(())
    }

    /// Refuses what only files of arrays take.
    pub(crate) fn check_no_kind(&self) -> Result<()> {
        match self.kind {
            Kind::Auto => Ok(()),
            Kind::Signal => {
                let reason = format!(
                    "'{}' holds no signals; remove kind, or give a file of arrays [N, C, T]",
                    self.source
                );
                Err(Error::setting("kind", "signal", reason))
            }
        }
    }

    /// Refuses what only images take.
    pub(crate) fn check_vectors(&self) -> Result<()> {
        let refuse = |name: &str, value: String| {
            let items = match self.kind {
                Kind::Auto => "vectors",
                Kind::Signal => "signals",
            };
            let reason = format!("'{}' holds {items}, not images; remove {name}", self.source);
            Err(Error::setting(name, value, reason))
        };
        if let Some(size) = self.size {
            return refuse("size", size.to_string());
        }
        if self.fit != Fit::Exact {
            return refuse("fit", self.fit.to_string());
        }
        if let Some(channels) = self.channels {
            return refuse("channels", channels.to_string());
        }
        if self.range != DEFAULT_RANGE {
            return refuse("range", format!("{:?}", self.range));
        }
        Ok(())
    }

    /// Refuses what only vectors take.
    pub(crate) fn check_images(&self) -> Result<()> {
        if self.standardise {
            let reason = format!("'{}' holds images; use range for them", self.source);
            return Err(Error::setting("standardise", true, reason));
        }
        Ok(())
    }
}
