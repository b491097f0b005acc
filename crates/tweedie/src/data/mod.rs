//! Data sets: read whole into memory as a `[data]` table asks, and served as model values.
//!
//! [`open`] turns a [`DataSpec`] into a [`Dataset`]: built-in sets, IDX, npy, npz, csv, or a
//! folder of images; with a class for each item where the spec asks for labels. File readers trust
//! nothing: the sizes in a header are checked against the bytes present before anything is
//! allocated for them.

mod arrange;
mod array;
mod bounded;
mod dataset;
pub mod digits;
mod fit;
mod folder;
mod idx;
mod label_source;
mod labels;
mod npy;
pub(crate) mod npz;
mod npz_write;
mod open;
mod picture;
mod range;
mod resize;
mod shape;
mod spec;
mod synthetic;
mod table;

pub use dataset::Dataset;
pub use label_source::LabelSource;
pub use labels::{Labels, MOST_CLASSES};
pub use npz_write::{npz_bytes_f32, npz_bytes_u8};
pub(crate) use npz_write::{npz_bytes_f64, write_npz};
pub use open::{BUILT_IN, open};
pub use range::ValueMap;
pub use resize::Filter;
#[cfg(any(feature = "onnx", test))]
pub(crate) use resize::resize;
pub use shape::Shape;
pub use spec::{DataSpec, Fit, Kind};
pub use synthetic::{Mixture, mixture};
