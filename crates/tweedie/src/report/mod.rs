//! Pictures and pages that show what a run did: image grids, charts, point clouds, animations,
//! HTML.
//!
//! Everything here turns plain numbers into bytes and knows nothing about networks or samplers.
//! Charts and panels are drawn as SVG and rasterised by resvg. The same input gives the same
//! bytes on every machine: text is drawn with an embedded font.
//! Values that cannot be drawn (NaN, infinities, zero on a logarithmic axis) are left out, and
//! what is empty is drawn as an empty chart, so a report never fails because a run went wrong.

mod animation;
mod axis;
mod chart;
mod clip;
mod color;
mod density;
mod escape;
mod font;
mod frame;
mod grid;
mod legend;
mod marks;
mod page;
mod page_folder;
mod picture;
mod raster;
mod scatter;
mod series;
mod shapes;
mod svg;
mod table;
mod ticks;

#[cfg(test)]
mod tests;

pub use animation::Animation;
pub use axis::{Axis, Scale};
pub use chart::Chart;
pub use color::{Color, PALETTE};
pub use density::{density, extent};
pub use grid::Grid;
pub use page::Page;
pub use page_folder::{PageFolder, SavedPage};
pub use picture::{MAX_SIDE, Picture, image_png_bytes, save_image_png};
pub use scatter::{Cloud, Scatter};
pub use series::{Series, Style};
pub use table::{Cell, Table};
