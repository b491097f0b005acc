//! The map from stored values to the values a model sees, and back.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The affine map `model = raw * scale + offset`, kept in f64.
///
/// It serialises, so that a run directory can store what its model was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ValueMap {
    scale: f64,
    offset: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<[f64; 2]>,
}

/// The serialised form, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    scale: f64,
    offset: f64,
    raw: Option<[f64; 2]>,
}

impl TryFrom<Stored> for ValueMap {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        Self::new(stored.scale, stored.offset, stored.raw)
    }
}

impl ValueMap {
    /// The map `raw * scale + offset`; `raw` is the closed interval of stored values, where
    /// it is known.
    ///
    /// # Errors
    /// A scale that is zero, a number that is not finite, or an interval that is not increasing.
    pub fn new(scale: f64, offset: f64, raw: Option<[f64; 2]>) -> Result<Self> {
        if !scale.is_finite() || scale == 0.0 {
            return Err(Error::setting(
                "scale",
                scale,
                "give a finite number other than 0",
            ));
        }
        if !offset.is_finite() {
            return Err(Error::setting("offset", offset, "give a finite number"));
        }
        if let Some(interval) = raw {
            check_interval("raw", interval)?;
        }
        Ok(Self { scale, offset, raw })
    }

    /// The identity, for values of unknown range.
    pub fn identity() -> Self {
        Self {
            scale: 1.0,
            offset: 0.0,
            raw: None,
        }
    }

    /// Maps the interval `raw` onto the interval `model`, end points onto end points.
    ///
    /// # Errors
    /// An interval that is not increasing and finite.
    pub fn between(raw: [f64; 2], model: [f64; 2]) -> Result<Self> {
        check_interval("raw", raw)?;
        check_interval("range", model)?;
        let scale = (model[1] - model[0]) / (raw[1] - raw[0]);
        Self::new(scale, model[0] - raw[0] * scale, Some(raw))
    }

    /// Takes values of this mean and standard deviation to mean 0 and standard deviation 1.
    ///
    /// # Errors
    /// A standard deviation that is not positive and finite, or a mean that is not finite.
    pub fn standardising(mean: f64, std: f64) -> Result<Self> {
        if !(std.is_finite() && std > 0.0) {
            let reason = "values that are all alike have no scale; remove `standardise`";
            return Err(Error::setting("standard deviation", std, reason));
        }
        Self::new(1.0 / std, -mean / std, None)
    }

    /// The factor on stored values; never 0.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// What is added after scaling.
    pub fn offset(&self) -> f64 {
        self.offset
    }

    /// The interval stored values lie in, where it is known (bytes of images: `[0, 255]`).
    pub fn raw_range(&self) -> Option<[f64; 2]> {
        self.raw
    }

    /// The interval model values of the data lie in, in increasing order, where it is known.
    pub fn model_range(&self) -> Option<[f64; 2]> {
        let [a, b] = self.raw?.map(|end| self.to_model(end));
        Some([a.min(b), a.max(b)])
    }

    /// A stored value as a model value.
    pub fn to_model(&self, raw: f64) -> f64 {
        raw * self.scale + self.offset
    }

    /// A model value in the data's own units, not clamped.
    pub fn to_raw(&self, model: f64) -> f64 {
        (model - self.offset) / self.scale
    }

    /// A model value as an 8-bit pixel of an image file: the raw range becomes 0 to 255,
    /// values outside are clamped, the rest rounded to nearest; NaN gives 0.
    ///
    /// Bytes of images come back exactly. Where the raw range is unknown, raw values themselves
    /// are taken as pixel values.
    pub fn to_u8(&self, model: f32) -> u8 {
        let raw = self.to_raw(f64::from(model));
        let level = match self.raw {
            Some([low, high]) => (raw - low) / (high - low) * 255.0,
            None => raw,
        };
        level.round().clamp(0.0, 255.0) as u8
    }
}

/// Refuses an interval that is not finite and increasing, or too wide for f64.
pub(crate) fn check_interval(name: &str, [low, high]: [f64; 2]) -> Result<()> {
    if low < high && (high - low).is_finite() {
        return Ok(());
    }
    let reason = "give two finite numbers, the smaller first, such as [0, 1]";
    Err(Error::setting(name, format!("[{low}, {high}]"), reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_exactly_for_usual_ranges() {
        for range in [[0.0, 1.0], [-1.0, 1.0], [-0.5, 0.5]] {
            let map = ValueMap::between([0.0, 255.0], range).unwrap();
            for byte in 0..=255_u8 {
                let model = map.to_model(f64::from(byte)) as f32;
                assert_eq!(map.to_u8(model), byte);
            }
            assert_eq!(
                map.model_range().unwrap().map(|v| v as f32),
                range.map(|v| v as f32)
            );
        }
    }

    #[test]
    fn output_levels_are_clamped_rounded_and_spread_over_the_raw_range() {
        let map = ValueMap::between([0.0, 16.0], [0.0, 1.0]).unwrap();
        assert_eq!(
            [-0.3, 0.0, 0.5, 1.0, 9.0].map(|v| map.to_u8(v)),
            [0, 0, 128, 255, 255]
        );
        assert_eq!(map.to_u8(f32::NAN), 0);
        assert_eq!(map.to_u8(f32::INFINITY), 255);
        assert_eq!(ValueMap::identity().to_u8(3.4), 3);
    }

    #[test]
    fn a_stored_map_comes_back_and_a_broken_one_is_refused() {
        for map in [
            ValueMap::identity(),
            ValueMap::between([0.0, 255.0], [-1.0, 1.0]).unwrap(),
            ValueMap::standardising(0.1, 0.3).unwrap(),
        ] {
            let text = toml::to_string(&map).unwrap();
            assert_eq!(toml::from_str::<ValueMap>(&text).unwrap(), map);
        }
        for text in [
            "scale = 0.0\noffset = 0.0",
            "scale = nan\noffset = 0.0",
            "scale = 1.0\noffset = 0.0\nraw = [1.0, 0.0]",
            "scale = 1.0\noffset = 0.0\nextra = 1",
        ] {
            assert!(toml::from_str::<ValueMap>(text).is_err(), "{text}");
        }
    }
}
