//! A folder of images, in the order of their names.

use std::fs;
use std::path::{Path, PathBuf};

use super::Labels;
use super::arrange::Items;
use super::array::Values;
use super::fit::{fit, fitted_shape};
use super::label_source::{self, LabelSource};
use super::open::Contents;
use super::picture;
use super::shape::Shape;
use super::spec::{DataSpec, Fit};
use crate::error::{Error, Result};

/// The images under `folder`, sorted by path and fitted as `spec` says.
///
/// Subfolders are read too; links to folders are not followed, as they may form cycles.
/// Hidden files and folders (names with a leading dot) are ignored. Where the spec
/// leaves the channels open, there is one if no image has colour, else three.
pub(crate) fn read(folder: &Path, spec: &DataSpec) -> Result<Contents> {
    let mut found = Found::default();
    walk(folder, &mut found)?;
    let Found {
        mut pictures,
        skipped,
    } = found;
    if pictures.is_empty() {
        let reason = format!(
            "the folder holds no PNG, JPEG or WebP images ({skipped} other files); give one that does"
        );
        return Err(Error::content(folder, reason));
    }
    pictures.sort();
    let labels = labels(folder, &pictures, &spec.labels)?;
    pictures.truncate(spec.limit.unwrap_or(usize::MAX));

    let mut stack = Stack::default();
    let mut dropped_alpha = 0;
    for path in &pictures {
        let picture = picture::read(path)?;
        dropped_alpha += usize::from(picture.had_alpha);
        let shape = fitted_shape(picture.shape, spec);
        if spec.fit == Fit::Exact {
            check_size(path, &shape, &pictures[0], stack.shape.as_ref(), spec.size)?;
        }
        stack.push(shape, fit(&picture.values, picture.shape, spec));
    }
    let mut notes = Vec::new();
    if skipped > 0 {
        notes.push(format!(
            "skipped {skipped} files that are not PNG, JPEG or WebP images"
        ));
    }
    if dropped_alpha > 0 {
        notes.push(format!(
            "dropped the alpha channel of {dropped_alpha} images"
        ));
    }
    let items = Items {
        shape: Shape::from_sides(&stack.shape.unwrap_or_default())?,
        values: Values::U8(stack.values),
    };
    Ok(Contents {
        items,
        labels,
        notes,
    })
}

/// The labels of all `pictures`, which are sorted.
fn labels(folder: &Path, pictures: &[PathBuf], source: &LabelSource) -> Result<Option<Labels>> {
    match source {
        LabelSource::None => return Ok(None),
        LabelSource::Named(name) if name != "folders" => {
            let Some(path) = label_source::existing(name) else {
                let way_out = "is a folder, whose labels are its sub-folders (labels = \"folders\") \
                               or those of a file, and there is no such file";
                return Err(source.refuse(&folder.to_string_lossy(), way_out));
            };
            return label_source::of_file(&path, pictures.len()).map(Some);
        }
        LabelSource::Auto | LabelSource::Named(_) => {}
    }
    let names = pictures.iter().map(|path| class(folder, path));
    Labels::named(folder, &names.collect::<Result<Vec<_>>>()?).map(Some)
}

/// The sub-folder of `folder` that `picture` lies in, at whatever depth.
fn class(folder: &Path, picture: &Path) -> Result<String> {
    let mut parts = picture.strip_prefix(folder).unwrap_or(picture).iter();
    let (Some(first), Some(_)) = (parts.next(), parts.next()) else {
        let reason = "the image lies in no sub-folder, so it has no class; move it into that of its \
                      class, or leave labels out";
        return Err(Error::content(picture, reason));
    };
    first.to_str().map(String::from).ok_or_else(|| {
        let reason = "the sub-folder's name is a class, but is not UTF-8; rename it";
        Error::content(picture, reason)
    })
}

#[derive(Default)]
struct Found {
    pictures: Vec<PathBuf>,
    skipped: usize,
}

fn walk(folder: &Path, found: &mut Found) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let entry = entry.map_err(Error::io("read", folder))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(Error::io("read", &path))?;
        if kind.is_dir() {
            walk(&path, found)?;
        } else if picture::is_named_as_picture(&path) && !path.is_dir() {
            found.pictures.push(path);
        } else {
            found.skipped += 1;
        }
    }
    Ok(())
}

/// Refuses an image that is not as large as the first, or as `size` asks.
fn check_size(
    path: &Path,
    &[_, h, w]: &[usize; 3],
    first_path: &Path,
    first: Option<&[usize; 3]>,
    size: Option<usize>,
) -> Result<()> {
    if let Some(size) = size
        && [h, w] != [size; 2]
    {
        let reason = format!(
            "the image is {w}x{h} (width x height), but size = {size}; set fit = \"resize\" or \
             fit = \"crop\""
        );
        return Err(Error::content(path, reason));
    }
    if let Some(&[_, first_h, first_w]) = first
        && [h, w] != [first_h, first_w]
    {
        let reason = format!(
            "the image is {w}x{h} (width x height), but {} is {first_w}x{first_h}; set fit = \
             \"resize\" or fit = \"crop\", and size",
            first_path.display()
        );
        return Err(Error::content(path, reason));
    }
    Ok(())
}

/// Images of one height and width; one channel until the first image with three.
#[derive(Default)]
struct Stack {
    shape: Option<[usize; 3]>,
    values: Vec<u8>,
}

impl Stack {
    fn push(&mut self, shape: [usize; 3], image: Vec<u8>) {
        let [channels, h, w] = *self.shape.get_or_insert(shape);
        match (channels, shape[0]) {
            (1, 3) => {
                let planes = self.values.chunks_exact(h * w);
                self.values = planes.flat_map(|plane| plane.repeat(3)).collect();
                self.shape = Some(shape);
                self.values.extend(image);
            }
            (3, 1) => self.values.extend(image.repeat(3)),
            _ => self.values.extend(image),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_images_among_coloured_ones_get_three_channels() {
        let mut stack = Stack::default();
        stack.push([1, 1, 2], vec![1, 2]);
        stack.push([3, 1, 2], vec![3, 4, 5, 6, 7, 8]);
        stack.push([1, 1, 2], vec![9, 9]);
        assert_eq!(stack.shape, Some([3, 1, 2]));
        assert_eq!(
            stack.values,
            [1, 2, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9]
        );
    }
}
