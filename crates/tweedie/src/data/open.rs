//! From a [`DataSpec`] to a [`Dataset`]: finds the source and applies the options.

use std::fs;
use std::path::Path;

use super::arrange::{Items, arrange};
use super::array::{Array, Values};
use super::bounded::Source;
use super::dataset::Dataset;
use super::fit::{fit_all, fitted_shape};
use super::label_source::{self, LabelSource};
use super::labels::Labels;
use super::range::ValueMap;
use super::shape::Shape;
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

/// How far float images may stray from `range` (rounding by the writer), as a fraction of
/// its width.
const RANGE_SLACK: f64 = 1e-4;

/// Reads the whole data set that `spec` names.
///
/// # Errors
/// A source that is neither a built-in name nor a path, a file that is malformed, an option that
/// is out of range or does not apply to the source. Every message names the file or the option,
/// and the way out.
pub fn open(spec: &DataSpec) -> Result<Dataset> {
    spec.check()?;
    if let Some(set) = Synthetic::named(&spec.source) {
        spec.check_vectors()?;
        spec.check_no_kind()?;
        let (items, components) = set.draw(spec)?;
        let labels = built_in(spec, components)?;
        return vectors(Contents::new(items, labels), spec);
    }
    spec.check_not_synthetic()?;
    if spec.source == "digits" {
        spec.check_no_kind()?;
        let path = Path::new(&spec.source);
        let values = digits::labels().iter().map(|&digit| digit.into()).collect();
        let labels = built_in(spec, Some(Labels::numbered(path, values)?))?;
        let mut values = Values::U8(digits::pixels().to_vec());
        values.truncate(
            spec.limit
                .unwrap_or(digits::COUNT)
                .saturating_mul(digits::SIDE.pow(2)),
        );
        let shape = Shape::Image {
            channels: 1,
            height: digits::SIDE,
            width: digits::SIDE,
        };
        let contents = Contents::new(Items { shape, values }, labels);
        return images(contents, digits::LEVELS, spec);
    }
    let path = Path::new(&spec.source);
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let names = BUILT_IN.join(", ");
            let reason = format!("no such file or folder, nor a built-in name ({names})");
            Error::setting("source", format!("'{}'", spec.source), reason)
        }
        _ => Error::io("read", path)(error),
    })?;
    if metadata.is_dir() {
        spec.check_images()?;
        spec.check_no_kind()?;
        return images(folder::read(path, spec)?, [0.0, 255.0], spec);
    }
    let contents = read_file(path, spec)?;
    if contents.items.shape.is_image() {
        images(contents, [0.0, 255.0], spec)
    } else {
        vectors(contents, spec)
    }
}

/// What was read from a source.
pub(crate) struct Contents {
    /// The items that `limit` keeps.
    pub items: Items,
    /// The labels of the items and of those that `limit` drops; none where none are asked for.
    pub labels: Option<Labels>,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

impl Contents {
    fn new(items: Items, labels: Option<Labels>) -> Self {
        Self {
            items,
            labels,
            notes: Vec::new(),
        }
    }
}

/// The labels of a built-in set where `spec` asks for them.
fn built_in(spec: &DataSpec, labels: Option<Labels>) -> Result<Option<Labels>> {
    match (&spec.labels, labels) {
        (LabelSource::None, _) => Ok(None),
        (source, None) => Err(source.refuse(&spec.source, "has no classes; leave labels out")),
        (LabelSource::Auto, labels) => Ok(labels),
        (source, _) => {
            let way_out = "is built in, with its labels; read them with labels = true";
            Err(source.refuse(&spec.source, way_out))
        }
    }
}

/// Reads a file by its content; csv, which has no magic bytes, by its name.
fn read_file(path: &Path, spec: &DataSpec) -> Result<Contents> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let is_csv = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let mut notes = Vec::new();
    let (array, labels) = if bytes.starts_with(npy::MAGIC) {
        let array = npy::parse(path, Source::plain(path, &bytes))?;
        let labels = match &spec.labels {
            LabelSource::Auto => {
                let way_out = "holds one array, so the labels are in another file; name it: labels \
                               = \"PATH\"";
                return Err(spec.labels.refuse(&spec.source, way_out));
            }
            source => labels_by_path(source, &array)?,
        };
        (array, labels)
    } else if bytes.starts_with(npz::MAGIC) {
        let name = npz_labels(path, &bytes, spec)?;
        let (array, note) = npz::parse(path, &bytes, name.as_deref())?;
        notes.extend(note);
        let labels = match name {
            Some(name) => {
                notes.push(format!("took the labels from '{}'", name.escape_debug()));
                let labels = npz::member(path, &bytes, &name)?;
                Some(label_source::of_array(path, labels, count(&array))?)
            }
            None => labels_by_path(&spec.labels, &array)?,
        };
        (array, labels)
    } else if idx::is_idx(&bytes) {
        let array = idx::parse(path, &bytes)?;
        let labels = match &spec.labels {
            LabelSource::Auto => Some(label_source::beside_idx(path, count(&array))?),
            source => labels_by_path(source, &array)?,
        };
        (array, labels)
    } else if is_csv {
        table::parse(path, &bytes, &spec.labels)?
    } else if image::guess_format(&bytes).is_ok() {
        let reason = "this is a single image; give the folder that holds the images";
        return Err(Error::content(path, reason));
    } else {
        let reason = "not a kind of file that is read; give IDX (plain or gzipped), npy, npz, a file \
                      named .csv, or a folder of images";
        return Err(Error::content(path, reason));
    };
    Ok(Contents {
        items: arrange(path, array, spec.kind, spec.limit)?,
        labels,
        notes,
    })
}

/// The number of items in `array`.
fn count(array: &Array) -> usize {
    array.dims.first().copied().unwrap_or_default()
}

/// The labels in the file that `source` names, if it names one.
fn labels_by_path(source: &LabelSource, array: &Array) -> Result<Option<Labels>> {
    match source {
        LabelSource::Named(file) => label_source::of_file(Path::new(file), count(array)).map(Some),
        LabelSource::None | LabelSource::Auto => Ok(None),
    }
}

/// The array of the npz file `bytes` that holds the labels; none where they are not asked for, or
/// those of another file are.
fn npz_labels(path: &Path, bytes: &[u8], spec: &DataSpec) -> Result<Option<String>> {
    let arrays = npz::names(path, bytes)?;
    let has = |name: &str| arrays.iter().any(|array| array == name);
    let found = match &spec.labels {
        LabelSource::None => return Ok(None),
        LabelSource::Named(name) if has(name) => Some(name.as_str()),
        LabelSource::Named(name) if label_source::existing(name).is_some() => return Ok(None),
        LabelSource::Named(_) => None,
        LabelSource::Auto => npz::USUAL_LABELS.into_iter().find(|name| has(name)),
    };
    if let Some(name) = found {
        return Ok(Some(name.to_owned()));
    }
    const MOST: usize = 20;
    let names: Vec<String> = arrays
        .iter()
        .take(MOST)
        .map(|name| format!("{name:?}"))
        .collect();
    let dots = if arrays.len() > MOST { ", .." } else { "" };
    let way_out = format!(
        "has the arrays {}{dots}; name the one that holds the labels",
        names.join(", ")
    );
    Err(spec.labels.refuse(&spec.source, &way_out))
}

/// Images whose bytes span `levels`; float images are model values already.
fn images(contents: Contents, levels: [f64; 2], spec: &DataSpec) -> Result<Dataset> {
    spec.check_images()?;
    let Items { shape, values } = contents.items;
    let Shape::Image {
        channels: c,
        height: h,
        width: w,
    } = shape
    else {
        return Err(Error::Shape {
            what: spec.source.clone(),
            expected: vec![1; 3],
            found: shape.to_vec(),
        });
    };
    if let (Fit::Exact, Some(size)) = (spec.fit, spec.size)
        && [h, w] != [size; 2]
    {
        let reason = format!(
            "'{}' holds images {w}x{h} (width x height); set fit = \"resize\" or fit = \"crop\"",
            spec.source
        );
        return Err(Error::setting("size", size, reason));
    }
    let map = match &values {
        Values::U8(_) => ValueMap::between(levels, spec.range)?,
        Values::F32(values) => {
            check_within(values, c * h * w, spec)?;
            ValueMap::new(1.0, 0.0, Some(spec.range))?
        }
    };
    let values = fit_all(values, [c, h, w], spec);
    let shape = Shape::from_sides(&fitted_shape([c, h, w], spec))?;
    let set = Dataset::from_values(spec.source.clone(), shape, values, map)?;
    with_labels(set.with_notes(contents.notes), contents.labels)
}

/// Vectors or signals as they are, or standardised.
fn vectors(contents: Contents, spec: &DataSpec) -> Result<Dataset> {
    spec.check_vectors()?;
    let Items { shape, values } = contents.items;
    let name = spec.source.clone();
    // Stored values are checked first: a NaN would make the mean NaN, and the message could not say
    // where it is.
    let set = Dataset::from_values(name, shape, values, ValueMap::identity())?;
    let set = with_labels(set.with_notes(contents.notes), contents.labels)?;
    if !spec.standardise {
        return Ok(set);
    }
    let (mean, std) = set.mean_std();
    set.remapped(ValueMap::standardising(mean, std)?)
}

/// The set with the labels of its items, which are the first of `labels`.
fn with_labels(mut set: Dataset, labels: Option<Labels>) -> Result<Dataset> {
    let Some(mut labels) = labels else {
        return Ok(set);
    };
    let occurring = |labels: &Labels| labels.counts().iter().filter(|&&n| n > 0).count();
    let all = occurring(&labels);
    labels.truncate(set.len());
    let kept = occurring(&labels);
    if kept < all {
        set.add_note(format!("limit keeps items of {kept} of the {all} classes"));
    }
    set.with_labels(labels)
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
