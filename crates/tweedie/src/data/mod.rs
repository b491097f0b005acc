//! Data sets: what a `[data]` table names, read whole into memory and served as model values.
//!
//! [`open`] turns a [`DataSpec`] into a [`Dataset`]: built-in sets, IDX, npy, npz, csv, or a
//! folder of images. Readers of files trust nothing: sizes a header claims are checked against
//! the bytes that are there before anything is allocated for them.

mod arrange;
mod array;
mod bounded;
mod dataset;
pub mod digits;
mod fit;
mod folder;
mod idx;
mod npy;
mod npz;
mod npz_write;
mod open;
mod picture;
mod range;
mod resize;
mod spec;
mod synthetic;
mod table;

pub use dataset::Dataset;
pub(crate) use npz_write::write_npz;
pub use npz_write::{npz_bytes_f32, npz_bytes_u8};
pub use open::{BUILT_IN, open};
pub use range::ValueMap;
pub use spec::{DataSpec, Fit};
pub use synthetic::{Mixture, mixture};
