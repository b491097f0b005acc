//! Samples as files: PNG, a grid, npz.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Model;
use super::signals::{self, Panel};
use crate::data::{Shape, write_npz};
use crate::error::{Error, Result};
use crate::files::{write_one_of_many, write_with};
use crate::report::{
    Axis, Chart, Cloud, Grid, Picture, Scatter, Series, density, extent, image_png_bytes,
};

/// Most samples in a grid.
const GRID: usize = 400;
/// Most signals in a picture.
const SIGNALS: usize = 12;
/// Most vectors in a picture: each takes a kilobyte while it is drawn.
const PLOTTED: usize = 20_000;

/// Writes a model's samples to a folder.
pub(super) struct Export<'a> {
    model: &'a Model,
    folder: &'a Path,
    shape: Shape,
    /// The first sample's number.
    first: u64,
}

impl<'a> Export<'a> {
    pub fn new(model: &'a Model, folder: &'a Path, first: u64) -> Self {
        Self {
            model,
            folder,
            shape: model.data().shape,
            first,
        }
    }

    /// `[C, H, W]` of images.
    fn image(&self) -> Option<[usize; 3]> {
        match self.shape {
            Shape::Image {
                channels,
                height,
                width,
            } => Some([channels, height, width]),
            Shape::Vector { .. } | Shape::Signal { .. } => None,
        }
    }

    pub fn is_image(&self) -> bool {
        self.image().is_some()
    }

    fn dim(&self) -> usize {
        self.shape.values()
    }

    /// Bytes of one sample in `samples.npz`.
    pub fn row_bytes(&self) -> usize {
        match self.is_image() {
            true => self.dim(),
            false => 4 * self.dim(),
        }
    }

    fn npz(&self) -> PathBuf {
        self.folder.join("samples.npz")
    }

    /// The files to show the user.
    pub fn shown(&self) -> Vec<PathBuf> {
        let picture = match self.is_image() {
            true => "grid.png",
            false => "samples.png",
        };
        vec![self.folder.join(picture), self.npz()]
    }

    /// The picture of one sample.
    pub fn picture(&self, seed: u64) -> PathBuf {
        self.folder.join(format!("{seed:06}.png"))
    }

    /// Model values as rows of `samples.npz`: interleaved pixels, or numbers in the data's
    /// units.
    pub fn rows(&self, values: &[f64]) -> Vec<u8> {
        let map = &self.model.data().map;
        let Some(shape) = self.image() else {
            let raw = values.iter().map(|&v| map.to_raw(v) as f32);
            return raw.flat_map(f32::to_le_bytes).collect();
        };
        let planar: Vec<u8> = values.iter().map(|&v| map.to_u8(v as f32)).collect();
        let images = planar.chunks_exact(self.dim());
        images.flat_map(|image| beside(image, shape)).collect()
    }

    /// A PNG file for each image; the first one's number is `first`.
    pub fn write_pictures(&self, values: &[f64], first: u64) -> Result<()> {
        let Some(shape) = self.image() else {
            return Ok(());
        };
        let map = &self.model.data().map;
        for (seed, image) in (first..).zip(values.chunks_exact(self.dim())) {
            let image: Vec<u8> = image.iter().map(|&v| map.to_u8(v as f32)).collect();
            let bytes = image_png_bytes(shape, &image)?;
            write_one_of_many(&self.picture(seed), &bytes)?;
        }
        Ok(())
    }

    /// The rows written so far, truncated to the first `count`.
    pub fn open_rows(&self, count: u64) -> Result<Rows> {
        Rows::open(self.folder.join("samples.partial"), self.row_bytes(), count)
    }

    /// `samples.npz` and the picture of the first samples.
    pub fn finish(&self, rows: &mut Rows) -> Result<()> {
        let count = rows.len() as usize;
        let (descr, mut shape) = match self.image() {
            Some([c, h, w]) => ("|u1", vec![h, w, c]),
            None => ("<f4", self.shape.to_vec()),
        };
        shape.insert(0, count);
        let length = rows.bytes();
        write_with(&self.npz(), &mut |file| {
            let mut source = BufReader::new(rows.rewound()?);
            let out = BufWriter::new(file);
            write_npz(out, descr, &shape, length, &mut source)
        })?;
        let [picture, _] = &self.shown()[..] else {
            return Ok(());
        };
        self.draw(rows)?.save_png(picture)
    }

    fn draw(&self, rows: &mut Rows) -> Result<Picture> {
        let Some([c, h, w]) = self.image() else {
            let bytes = rows.first(PLOTTED)?;
            let words = bytes.chunks_exact(4);
            let values: Vec<f32> = words
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            let Shape::Signal { length, .. } = self.shape else {
                return plot(&values, self.dim());
            };
            let named = values.chunks_exact(self.dim()).zip(self.first..);
            let named = named.map(|(signal, seed)| Panel::new(format!("seed {seed}"), signal));
            return signals::sheet(named.take(SIGNALS), length);
        };
        let beside = rows.first(GRID)?;
        let shown = beside.len() / self.dim();
        let images = beside.chunks_exact(self.dim());
        let planar: Vec<u8> = images
            .flat_map(|image| (0..c).flat_map(move |channel| image[channel..].iter().step_by(c)))
            .copied()
            .collect();
        let columns = (shown as f64).sqrt().ceil() as usize;
        Grid::new([c, h, w]).columns(columns).render(&planar)
    }
}

/// `[C, H, W]` as `[H, W, C]`.
fn beside(image: &[u8], [c, h, w]: [usize; 3]) -> impl Iterator<Item = u8> {
    let pixels = (0..h * w).flat_map(move |p| (0..c).map(move |channel| channel * h * w + p));
    pixels.map(|i| image[i])
}

/// Rows of samples on the disk, added to at the end.
pub(super) struct Rows {
    path: PathBuf,
    file: File,
    row: usize,
    count: u64,
}

impl Rows {
    /// Keeps the first `count` rows of the file at `path`, or as many as there are.
    fn open(path: PathBuf, row: usize, count: u64) -> Result<Self> {
        let failed = |e| Error::io("open", &path)(e);
        let found = match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => Some(found),
            Ok(_) => {
                let reason = "is in the way: it is not a file; choose another folder with --out";
                return Err(Error::content(&path, reason));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(failed(e)),
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let found = match (found, count) {
            (Some(found), 1..) => found.len(),
            (found, _) => {
                if found.is_some() {
                    fs::remove_file(&path).map_err(failed)?;
                }
                options.create_new(true);
                0
            }
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.custom_flags(libc::O_NOFOLLOW);
        }
        let mut file = options.open(&path).map_err(failed)?;
        let count = count.min(found / row.max(1) as u64);
        file.set_len(count * row as u64)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(failed)?;
        Ok(Self {
            path,
            file,
            row,
            count,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> u64 {
        self.count
    }

    fn bytes(&self) -> u64 {
        self.count * self.row as u64
    }

    /// Syncs the rows to the disk.
    pub fn sync(&self) -> Result<()> {
        let synced = self.file.sync_data();
        synced.map_err(Error::io("sync", &self.path))
    }

    /// Appends whole rows.
    pub fn append(&mut self, rows: &[u8]) -> Result<()> {
        let written = self.file.write_all(rows);
        written.map_err(Error::io("write", &self.path))?;
        self.count += (rows.len() / self.row.max(1)) as u64;
        Ok(())
    }

    fn rewound(&mut self) -> std::io::Result<&mut File> {
        self.file.rewind()?;
        Ok(&mut self.file)
    }

    /// The first rows, at most `count`.
    fn first(&mut self, count: usize) -> Result<Vec<u8>> {
        let bytes = self.bytes().min((count * self.row) as u64);
        let mut found = Vec::new();
        let failed = Error::io("read", &self.path);
        let read = self
            .file
            .rewind()
            .and_then(|()| (&mut self.file).take(bytes).read_to_end(&mut found));
        read.map_err(failed)?;
        Ok(found)
    }

    /// Removes the file, whose rows have been copied.
    pub fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(Error::io("remove", &self.path))
    }
}

/// A histogram of numbers, or the first two coordinates of vectors.
fn plot(values: &[f32], dim: usize) -> Result<Picture> {
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
