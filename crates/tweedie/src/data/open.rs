//! From a [`DataSpec`] to a [`Dataset`]: finds the source and applies the options.

use std::fs;
use std::path::Path;

use super::arrange::{Items, arrange};
use super::array::Values;
use super::bounded::Source;
use super::dataset::Dataset;
use super::fit::{fit_all, fitted_shape};
use super::range::ValueMap;
use super::spec::{DataSpec, Fit};
use super::synthetic::Synthetic;
use super::{digits, folder, idx, npy, npz, table};
use crate::error::{Error, Result};

/// The names that need no file: handwritten digits (see [`digits`]), and synthetic sets.
///
/// - `tutorial`: the 1-D mixture 0.1 N(-3, 1) + 0.9 N(3, 1).
/// - `swiss-roll`: 2-D, dimensions 0 and 2 of scikit-learn's `make_swiss_roll(noise=0.25)`,
///   divided by 7.5.
/// - `gaussians-8`: 2-D, 8 centres on a circle of radius 2, standard deviation 0.02, all divided
///   by 1.414.
/// - `gaussians-25`: 2-D, centres 2 {-2, .., 2}^2, standard deviation 0.05, all divided by 2.828.
/// - `two-moons`: 2-D, scikit-learn's `make_moons(noise=0.05)`, with angles drawn uniformly
///   instead of spaced evenly.
pub const BUILT_IN: [&str; 6] = [
    "digits",
    "tutorial",
    "swiss-roll",
    "gaussians-8",
    "gaussians-25",
    "two-moons",
];

/// How far float images may stray from `range` (rounding in whatever wrote them), as a part of
/// its width.
const RANGE_SLACK: f64 = 1e-4;

/// Reads the whole data set that `spec` names.
///
/// # Errors
/// A source that is neither a built-in name nor there, a file that is not what it should be, an
/// option that is out of range or means nothing for the source. Every message names the file or
/// the option, and the way out.
pub fn open(spec: &DataSpec) -> Result<Dataset> {
    spec.check()?;
    if let Some(set) = Synthetic::named(&spec.source) {
        spec.check_vectors()?;
        let items = set.draw(spec)?;
        return vectors(items, spec, Vec::new());
    }
    spec.check_not_synthetic()?;
    if spec.source == "digits" {
        let mut values = Values::U8(digits::pixels().to_vec());
        values.truncate(
            spec.limit
                .unwrap_or(digits::COUNT)
                .saturating_mul(digits::SIDE.pow(2)),
        );
        let items = Items {
            shape: vec![1, digits::SIDE, digits::SIDE],
            values,
        };
        return images(items, digits::LEVELS, spec, Vec::new());
    }
    let path = Path::new(&spec.source);
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let names = BUILT_IN.join(", ");
            let reason = format!("no such file or folder, nor a built-in name ({names})");
            Error::setting("data.source", format!("'{}'", spec.source), reason)
        }
        _ => Error::io("read", path)(error),
    })?;
    if metadata.is_dir() {
        spec.check_images()?;
        let (items, notes) = folder::read(path, spec)?;
        return images(items, [0.0, 255.0], spec, notes);
    }
    let (items, notes) = read_file(path, spec.limit)?;
    if items.shape.len() == 3 {
        images(items, [0.0, 255.0], spec, notes)
    } else {
        vectors(items, spec, notes)
    }
}

/// Reads a file by what it holds; csv, which has no mark of its own, by its name.
fn read_file(path: &Path, limit: Option<usize>) -> Result<(Items, Vec<String>)> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let is_csv = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let mut notes = Vec::new();
    let array = if bytes.starts_with(npy::MAGIC) {
        npy::parse(path, Source::plain(path, &bytes))?
    } else if bytes.starts_with(npz::MAGIC) {
        let (array, note) = npz::parse(path, &bytes)?;
        notes.extend(note);
        array
    } else if idx::is_idx(&bytes) {
        idx::parse(path, &bytes)?
    } else if is_csv {
        table::parse(path, &bytes)?
    } else if image::guess_format(&bytes).is_ok() {
        let reason = "this is a single image; give the folder that holds the images";
        return Err(Error::content(path, reason));
    } else {
        let reason = "not a kind of file that is read; give IDX (plain or gzipped), npy, npz, a file \
                      named .csv, or a folder of images";
        return Err(Error::content(path, reason));
    };
    Ok((arrange(path, array, limit)?, notes))
}

/// Images whose bytes span `levels`; float images are model values already.
fn images(items: Items, levels: [f64; 2], spec: &DataSpec, notes: Vec<String>) -> Result<Dataset> {
    spec.check_images()?;
    let Items { shape, values } = items;
    let &[c, h, w] = shape.as_slice() else {
        return Err(Error::Shape {
            what: spec.source.clone(),
            expected: vec![1; 3],
            found: shape,
        });
    };
    if let (Fit::Exact, Some(size)) = (spec.fit, spec.size)
        && [h, w] != [size; 2]
    {
        let reason = format!(
            "'{}' holds images {w}x{h} (width x height); set fit = \"resize\" or fit = \"crop\"",
            spec.source
        );
        return Err(Error::setting("data.size", size, reason));
    }
    let map = match &values {
        Values::U8(_) => ValueMap::between(levels, spec.range)?,
        Values::F32(values) => {
            check_within(values, c * h * w, spec)?;
            ValueMap::new(1.0, 0.0, Some(spec.range))?
        }
    };
    let values = fit_all(values, [c, h, w], spec);
    let shape = fitted_shape([c, h, w], spec).to_vec();
    Ok(Dataset::from_values(spec.source.clone(), shape, values, map)?.with_notes(notes))
}

/// Vectors as they are, or standardised.
fn vectors(items: Items, spec: &DataSpec, notes: Vec<String>) -> Result<Dataset> {
    spec.check_vectors()?;
    let Items { shape, values } = items;
    let name = spec.source.clone();
    // Checked as stored first: a NaN would make the mean NaN, and the message would not say where.
    let set = Dataset::from_values(name, shape, values, ValueMap::identity())?.with_notes(notes);
    if !spec.standardise {
        return Ok(set);
    }
    let (mean, std) = set.mean_std();
    set.remapped(ValueMap::standardising(mean, std)?)
}

/// Refuses float images beyond the range they are said to have.
fn check_within(values: &[f32], dim: usize, spec: &DataSpec) -> Result<()> {
    let [low, high] = spec.range;
    let slack = RANGE_SLACK * (high - low);
    // NaN passes here; the data set refuses it with a better message.
    let outside = |&v: &f32| f64::from(v) < low - slack || f64::from(v) > high + slack;
    let Some(at) = values.iter().position(outside) else {
        return Ok(());
    };
    let reason = format!(
        "item {} has the value {}, outside range = [{low}, {high}]; float images are taken as they \
         are, so set range to what they span, or store bytes",
        at / dim,
        values[at]
    );
    Err(Error::content(&spec.source, reason))
}
