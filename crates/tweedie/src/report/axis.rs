//! An axis: its label, its scale, and the range of values it shows.

use crate::error::{Error, Result};

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally far apart.
    #[default]
    Linear,
    /// Equal ratios are equally far apart. Values that are zero or negative are not drawn.
    Log,
}

/// A chart's horizontal or vertical axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// What the axis measures, with its unit; may be empty.
    pub label: String,
    /// How values are spread.
    pub scale: Scale,
    /// The first and last value shown; `None` fits the data. What lies outside is cut off.
    pub range: Option<(f64, f64)>,
    /// The only values that are labelled, with their labels in ascending order, where those that an
    /// axis chooses itself say too little: a place that stands for infinity. Empty for its own.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A linear axis that fits the data.
    pub fn linear(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            scale: Scale::Linear,
            range: None,
            ticks: Vec::new(),
        }
    }

    /// A logarithmic axis that fits the positive data.
    pub fn log(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            scale: Scale::Log,
            range: None,
            ticks: Vec::new(),
        }
    }

    /// The same axis, showing exactly `low` to `high`.
    ///
    /// Drawing refuses a range that is not finite, not ascending, or not positive on a
    /// logarithmic axis.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// The same axis, labelled at these values alone, in ascending order.
    pub fn ticks(mut self, ticks: impl IntoIterator<Item = (f64, String)>) -> Self {
        self.ticks = ticks.into_iter().collect();
        self
    }
}

/// Beyond this, differences of two values could overflow.
const HUGE: f64 = 1e300;

/// A scale with its ends, in the scale's own unit: the value, or its decimal logarithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub scale: Scale,
    pub low: f64,
    pub high: f64,
}

/// The extent of the values on an axis, collected one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Extent {
    pub fn new(scale: Scale) -> Self {
        Self {
            scale,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        }
    }

    /// Takes in `value`, unless it cannot be drawn.
    pub fn add(&mut self, value: f64) {
        if let Some(unit) = self.scale.unit(value) {
            self.add_unit(unit);
        }
    }

    /// Takes in a finite value given in the scale's unit.
    pub fn add_unit(&mut self, unit: f64) {
        self.low = self.low.min(unit);
        self.high = self.high.max(unit);
    }

    /// The lowest and highest unit taken in; 0 and 1 if there was none.
    pub fn ends(&self) -> (f64, f64) {
        // Nothing to show: any axis will do.
        if self.low > self.high {
            (0.0, 1.0)
        } else {
            (self.low, self.high)
        }
    }

    /// The span that shows everything taken in and `margin` (a fraction of it) on both sides.
    fn span(self, margin: f64) -> Span {
        let (low, high) = self.ends();
        // Constant data, or a spread that is only rounding, would fill the chart with noise.
        if high - low <= 1e-9 * low.abs().max(high.abs()) || high == low {
            let room = match self.scale {
                Scale::Linear if low == 0.0 => 1.0,
                Scale::Linear => 0.1 * low.abs().max(high.abs()),
                Scale::Log => 0.5,
            };
            return Span {
                scale: self.scale,
                low: low - room,
                high: high + room,
            };
        }
        let room = margin * (high - low);
        let mut span = Span {
            scale: self.scale,
            low: low - room,
            high: high + room,
        };
        if self.scale == Scale::Linear {
            // A margin must not suggest values of the other sign: a loss is never negative.
            if low >= 0.0 {
                span.low = span.low.max(0.0);
            }
            if high <= 0.0 {
                span.high = span.high.min(0.0);
            }
        }
        span
    }
}

impl Scale {
    /// `value` in the scale's unit, or `None` where it cannot be drawn.
    pub(super) fn unit(self, value: f64) -> Option<f64> {
        if !value.is_finite() || value.abs() > HUGE {
            return None;
        }
        match self {
            Self::Linear => Some(value),
            Self::Log => (value > 0.0).then(|| value.log10()),
        }
    }
}

impl Span {
    /// What `axis` shows: its own range, or what fits `extent` with `margin`.
    ///
    /// `name` is the axis as an error message calls it.
    pub fn new(name: &str, axis: &Axis, extent: Extent, margin: f64) -> Result<Self> {
        let Some((low, high)) = axis.range else {
            return Ok(extent.span(margin));
        };
        let refuse = |reason: &str| {
            Error::setting(
                format!("range of the {name}"),
                format!("({low}, {high})"),
                reason,
            )
        };
        if low >= high {
            return Err(refuse("the first value must be below the second"));
        }
        match (axis.scale.unit(low), axis.scale.unit(high)) {
            (Some(low), Some(high)) if low < high => Ok(Self {
                scale: axis.scale,
                low,
                high,
            }),
            _ if axis.scale == Scale::Log => Err(refuse(
                "a logarithmic axis needs two different positive, finite values",
            )),
            _ => Err(refuse("both values must be finite")),
        }
    }

    /// The position of `value`: 0 at the span's start, 1 at its end, outside [0, 1] beyond them.
    /// `None` where it cannot be drawn.
    pub fn place(&self, value: f64) -> Option<f64> {
        self.scale.unit(value).map(|unit| self.place_unit(unit))
    }

    /// The position of a value in the scale's unit.
    pub fn place_unit(&self, unit: f64) -> f64 {
        // The clamp keeps later arithmetic in pixels finite; it is far outside any picture.
        ((unit - self.low) / (self.high - self.low)).clamp(-1e6, 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(scale: Scale, values: &[f64]) -> Span {
        let mut extent = Extent::new(scale);
        values.iter().for_each(|&v| extent.add(v));
        extent.span(0.05)
    }

    #[test]
    fn spans_fit_what_can_be_drawn() {
        let span = fit(Scale::Linear, &[f64::NAN, 1.0, 3.0, f64::INFINITY]);
        assert!((span.low - 0.9).abs() < 1e-12 && (span.high - 3.1).abs() < 1e-12);
        let span = fit(Scale::Log, &[0.0, -1.0, 0.01, 100.0]);
        assert!((span.low + 2.2).abs() < 1e-12 && (span.high - 2.2).abs() < 1e-12);
        assert_eq!(fit(Scale::Linear, &[0.0, 10.0]).low, 0.0);
        assert!(fit(Scale::Linear, &[]).place(0.5).is_some());
    }

    #[test]
    fn constant_data_stands_in_the_middle() {
        for value in [0.0, 5.0, -1e-300, 1e299] {
            assert_eq!(
                fit(Scale::Linear, &[value]).place(value),
                Some(0.5),
                "{value}"
            );
        }
        assert_eq!(fit(Scale::Log, &[1e-300]).place(1e-300), Some(0.5));
    }

    #[test]
    fn impossible_ranges_are_refused() {
        let span = |axis: Axis| Span::new("x axis", &axis, Extent::new(axis.scale), 0.0);
        assert!(span(Axis::linear("").range(1.0, 1.0)).is_err());
        assert!(span(Axis::linear("").range(0.0, f64::NAN)).is_err());
        let error = span(Axis::log("").range(0.0, 1.0)).unwrap_err().to_string();
        assert!(error.contains("range of the x axis"), "{error}");
        assert!(span(Axis::log("").range(0.1, 1.0)).is_ok());
    }
}
