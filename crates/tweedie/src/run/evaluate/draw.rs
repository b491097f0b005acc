//! A run's samples as a set of items.

use crate::data::{DataSpec, Dataset, ValueMap};
use crate::error::Result;
use crate::job::Monitor;
use crate::run::{Draw, Drawn, Model};

/// Draws samples as `tweedie sample` writes them: images rounded to bytes, vectors in the data's
/// own units.
///
/// # Errors
/// As for [`Model::draw`].
pub fn draw_items(model: &Model, draw: &Draw, monitor: &mut Monitor<'_>) -> Result<Dataset> {
    drawn_items(model, &model.draw(draw, monitor)?)
}

/// What `model` drew as [`draw_items`] gives it.
///
/// # Errors
/// Where the samples are not finite.
pub fn drawn_items(model: &Model, drawn: &Drawn) -> Result<Dataset> {
    let shape = model.data().shape;
    let name = format!("samples of step {}", model.step());
    if !shape.is_image() {
        return Dataset::from_f32(name, shape, drawn.to_raw(model), ValueMap::identity());
    }
    let range = DataSpec::new("").range;
    let map = ValueMap::between([0.0, 255.0], range)?;
    Dataset::from_u8(name, shape, drawn.to_u8(model), map)
}
