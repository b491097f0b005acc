//! Samples as files: PNG, a grid, npz.

use std::path::{Path, PathBuf};

use super::signals::{self, Panel};
use super::{Drawn, Model};
use crate::data::{Shape, npz_bytes_f32, npz_bytes_u8};
use crate::error::Result;
use crate::files::write_atomic;
use crate::report::{Axis, Chart, Cloud, Grid, Scatter, Series, density, extent, save_image_png};

/// Most samples in a grid.
const GRID: usize = 400;
/// Most signals in a picture.
const SIGNALS: usize = 12;

/// Writes `drawn` to `folder` and returns what a person should look at. The first sample's
/// number is `first`; `each` writes a PNG file a sample.
///
/// Images: `000017.png` (the seed), `grid.png`, and `samples.npz` with `arr_0` `[n, H, W, C]` of
/// bytes. Vectors and signals: `samples.npz` with `arr_0` `[n, D]` or `[n, C, T]` of float32 in the
/// data's units, and `samples.png`.
///
/// # Errors
/// When the disk refuses.
pub fn export(
    model: &Model,
    drawn: &Drawn,
    first: u64,
    folder: &Path,
    each: bool,
) -> Result<Vec<PathBuf>> {
    let npz = folder.join("samples.npz");
    let n = drawn.len();
    let shape = model.data().shape;
    let Shape::Image {
        channels: c,
        height: h,
        width: w,
    } = shape
    else {
        let raw = drawn.to_raw(model);
        let sides = [vec![n], shape.to_vec()].concat();
        write_atomic(&npz, &npz_bytes_f32(&sides, &raw)?)?;
        let picture = folder.join("samples.png");
        match shape {
            Shape::Signal { length, .. } => {
                let named = raw.chunks_exact(drawn.dim).zip(first..);
                let named = named.map(|(signal, seed)| Panel::new(format!("seed {seed}"), signal));
                signals::sheet(named.take(SIGNALS), length)?
            }
            _ => plot(&raw, drawn.dim)?,
        }
        .save_png(&picture)?;
        return Ok(vec![picture, npz]);
    };
    let bytes = drawn.to_u8(model);
    let planar = |image: &[u8]| {
        let pixels = (0..h * w).flat_map(|p| (0..c).map(move |channel| channel * h * w + p));
        pixels.map(|i| image[i]).collect::<Vec<u8>>()
    };
    let nhwc: Vec<u8> = bytes.chunks_exact(c * h * w).flat_map(planar).collect();
    write_atomic(&npz, &npz_bytes_u8(&[n, h, w, c], &nhwc)?)?;
    let shown = n.min(GRID);
    let columns = (shown as f64).sqrt().ceil() as usize;
    let grid = folder.join("grid.png");
    Grid::new([c, h, w])
        .columns(columns)
        .render(&bytes[..shown * c * h * w])?
        .save_png(&grid)?;
    if each {
        for (k, image) in bytes.chunks_exact(c * h * w).enumerate() {
            let name = format!("{:06}.png", first + k as u64);
            save_image_png(folder.join(name), [c, h, w], image)?;
        }
    }
    Ok(vec![grid, npz])
}

/// A histogram of numbers, or the first two coordinates of vectors.
fn plot(values: &[f32], dim: usize) -> Result<crate::report::Picture> {
    if dim > 1 {
        let points = values
            .chunks_exact(dim)
            .map(|v| [f64::from(v[0]), f64::from(v[1])]);
        let cloud = Cloud::new("", points.collect::<Vec<_>>());
        return Scatter::new("Samples").cloud(cloud).png(600);
    }
    let values: Vec<f64> = values.iter().map(|&v| v.into()).collect();
    let points = density(&values, extent(values.iter().copied()), 60);
    Chart::new("Samples")
        .x(Axis::linear("value"))
        .y(Axis::linear("density"))
        .series(Series::bars("samples", points))
        .png(900, 520)
}
