//! Where an axis has its ticks, and how they are labelled.

use super::axis::{Scale, Span};
use super::font;

/// The ticks of one axis. Places are fractions of the axis, 0 at its start.
#[derive(Clone, Debug, Default)]
pub(super) struct Ticks {
    /// Place and label of each labelled tick, ascending.
    pub major: Vec<(f64, String)>,
    /// Places of the unlabelled lines between decades.
    pub minor: Vec<f64>,
}

impl Ticks {
    /// About `most` ticks, never many more.
    pub fn new(span: &Span, most: usize) -> Self {
        let most = most.max(2);
        match span.scale {
            Scale::Linear => Self::at(span, &linear(span.low, span.high, most), |v| v),
            Scale::Log => Self::log(span, most),
        }
    }

    /// Ticks at the values given that lie within the axis.
    pub fn given(span: &Span, ticks: &[(f64, String)]) -> Self {
        let place = |(value, label): &(f64, String)| {
            let place = span.place(*value)?;
            (0.0..=1.0).contains(&place).then(|| (place, label.clone()))
        };
        Self {
            major: ticks.iter().filter_map(place).collect(),
            minor: Vec::new(),
        }
    }

    /// As many ticks as have room for their labels side by side on `length` pixels.
    pub fn across(span: &Span, length: f64, size: f64) -> Self {
        let most = (length / 56.0).clamp(2.0, 12.0) as usize;
        (2..=most)
            .rev()
            .map(|most| Self::new(span, most))
            .find(|ticks| ticks.fit(length, size))
            .unwrap_or_else(|| Self::new(span, 2).thinned(length, size))
    }

    /// Every second label, every third, … until the rest fit: one alone always does.
    fn thinned(self, length: f64, size: f64) -> Self {
        let every = |n: usize| Self {
            major: self.major.iter().step_by(n).cloned().collect(),
            minor: self.minor.clone(),
        };
        let most = self.major.len().max(1);
        (1..=most)
            .map(every)
            .find(|ticks| ticks.fit(length, size))
            .unwrap_or_default()
    }

    /// Width in pixels of the widest label.
    pub fn widest(&self, size: f64) -> f64 {
        self.major
            .iter()
            .map(|(_, label)| font::width(label, size))
            .fold(0.0, f64::max)
    }

    /// By how many pixels the last label sticks out beyond the end of an axis of `length`
    /// pixels, not counting the `free` pixels that are there anyway.
    pub fn overhang(&self, length: f64, free: f64, size: f64) -> f64 {
        let Some((place, label)) = self.major.last() else {
            return 0.0;
        };
        (font::width(label, size) / 2.0 - (1.0 - place) * length - free / 2.0).max(0.0)
    }

    fn fit(&self, length: f64, size: f64) -> bool {
        let half = |label: &str| font::width(label, size) / 2.0;
        self.major.windows(2).all(|pair| {
            let room = (pair[1].0 - pair[0].0) * length;
            room >= half(&pair[0].1) + half(&pair[1].1) + size
        })
    }

    fn at(span: &Span, values: &[(f64, String)], unit: impl Fn(f64) -> f64) -> Self {
        let place = |value: f64| span.place_unit(unit(value));
        let major = values
            .iter()
            .map(|(value, label)| (place(*value), label.clone()))
            .collect();
        Self {
            major,
            minor: Vec::new(),
        }
    }

    fn log(span: &Span, most: usize) -> Self {
        let (low, high) = (span.low, span.high);
        // So little of a decade is better read with even steps.
        if high - low < 0.7 && (-290.0..290.0).contains(&low) {
            let values = linear(10f64.powf(low), 10f64.powf(high), most);
            return Self::at(span, &values, f64::log10);
        }
        let first = (low - 1e-9).ceil() as i32;
        let last = (high + 1e-9).floor() as i32;
        // Inside less than two decades 2 and 5 are labelled too, if there is room.
        if high - low < 2.0 {
            let fine = mantissas(span, &[1, 2, 5]);
            if fine.len() <= most.max(4) {
                return Self {
                    major: labelled(span, &fine),
                    minor: minor(span),
                };
            }
        }
        let decades = (last - first + 1).max(0) as usize;
        let stride = [1, 2, 3, 5, 10, 20, 50, 100, 200]
            .into_iter()
            .find(|stride| decades.div_ceil(*stride) <= most)
            .unwrap_or(200) as i32;
        let shown: Vec<_> = (first..=last)
            .filter(|k| k % stride == 0)
            .map(|k| (1, k))
            .collect();
        let minor = match stride {
            1 if high - low <= 8.0 => minor(span),
            1 => Vec::new(),
            _ => (first..=last)
                .map(|k| span.place_unit(f64::from(k)))
                .collect(),
        };
        Self {
            major: labelled(span, &shown),
            minor,
        }
    }
}

/// The (m, k) with m·10ᵏ inside the span, ascending, for the given m.
fn mantissas(span: &Span, choices: &[i32]) -> Vec<(i32, i32)> {
    let decades = (span.low.floor() as i32)..=(span.high.floor() as i32);
    let all = decades.flat_map(|k| choices.iter().map(move |&m| (m, k)));
    all.filter(|&mk| (span.low - 1e-9..=span.high + 1e-9).contains(&exponent(mk)))
        .collect()
}

fn minor(span: &Span) -> Vec<f64> {
    let all = mantissas(span, &[2, 3, 4, 5, 6, 7, 8, 9]);
    all.into_iter()
        .map(|mk| span.place_unit(exponent(mk)))
        .collect()
}

fn exponent((m, k): (i32, i32)) -> f64 {
    f64::from(m).log10() + f64::from(k)
}

/// Plain numbers (0.01, 0.1, 1, 10) as long as they are short, powers of ten otherwise.
fn labelled(span: &Span, ticks: &[(i32, i32)]) -> Vec<(f64, String)> {
    let plain = ticks.iter().all(|&(_, k)| (-3..=4).contains(&k));
    let label = |(m, k): (i32, i32)| match (plain, m) {
        (true, _) => fixed(f64::from(m) * 10f64.powi(k), (-k).max(0) as usize),
        (false, 1) => power(k),
        (false, _) => format!("{m}×{}", power(k)),
    };
    ticks
        .iter()
        .map(|&mk| (span.place_unit(exponent(mk)), label(mk)))
        .collect()
}

/// Values at steps of 1, 2 or 5 times a power of ten, with their labels.
fn linear(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / most as f64;
    let mut power_of_step = rough.log10().floor();
    let base = 10f64.powf(power_of_step);
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|f| f * base >= rough * (1.0 - 1e-9));
    let step = base * factor.unwrap_or(10.0);
    if factor.is_none() {
        power_of_step += 1.0;
    }
    if !(step.is_finite() && step > 0.0) {
        return Vec::new();
    }
    let first = (low / step - 1e-9).ceil();
    let values: Vec<f64> = (0..=most + 1)
        .map(|i| (first + i as f64) * step)
        .take_while(|&value| value <= high + step * 1e-9)
        .collect();
    let largest = values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let power_of_step = power_of_step as i32;
    // Long numbers are written with a power of ten, the same for the whole axis.
    let common = largest.log10().floor() as i32;
    let scientific = largest > 0.0 && (largest >= 1e6 || power_of_step < -4);
    let label = |value: f64| {
        if !scientific {
            return fixed(value, (-power_of_step).max(0) as usize);
        }
        if value.abs() < step / 2.0 {
            return "0".to_owned();
        }
        let digits = (common - power_of_step).clamp(0, 9) as usize;
        // Two factors, since 10^308 alone cannot bring the smallest numbers up.
        let scaled = value / 10f64.powi(common / 2) / 10f64.powi(common - common / 2);
        format!("{}×{}", fixed(scaled, digits), power(common))
    };
    values
        .into_iter()
        .map(|value| (value, label(value)))
        .collect()
}

fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    // Rounding may leave "-0.0".
    if text
        .trim_start_matches('-')
        .chars()
        .all(|c| c == '0' || c == '.')
    {
        return text.trim_start_matches('-').to_owned();
    }
    text.replace('-', "−")
}

fn power(exponent: i32) -> String {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = |c: char| c.to_digit(10).map_or('⁻', |digit| RAISED[digit as usize]);
    "10".chars()
        .chain(exponent.to_string().chars().map(raised))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, low: f64, high: f64, most: usize) -> Vec<String> {
        let unit = |v| scale.unit(v).unwrap();
        let span = Span {
            scale,
            low: unit(low),
            high: unit(high),
        };
        Ticks::new(&span, most)
            .major
            .into_iter()
            .map(|(_, label)| label)
            .collect()
    }

    #[test]
    fn linear_steps_are_round() {
        let labels = |low, high, most| labels(Scale::Linear, low, high, most);
        assert_eq!(
            labels(0.0, 1.0, 5),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(-1.0, 1.0, 4), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(
            labels(0.0, 50_000.0, 5),
            ["0", "10000", "20000", "30000", "40000", "50000"]
        );
        assert_eq!(labels(0.0, 2e6, 2), ["0", "1×10⁶", "2×10⁶"]);
        assert_eq!(labels(0.0, 4e-5, 2), ["0", "2×10⁻⁵", "4×10⁻⁵"]);
        assert_eq!(
            labels(0.0, 3e-310, 3),
            ["0", "1×10⁻³¹⁰", "2×10⁻³¹⁰", "3×10⁻³¹⁰"]
        );
    }

    #[test]
    fn log_ticks_stand_at_decades() {
        let labels = |low, high, most| labels(Scale::Log, low, high, most);
        assert_eq!(labels(0.01, 10.0, 6), ["0.01", "0.1", "1", "10"]);
        assert_eq!(labels(0.15, 0.95, 6), ["0.2", "0.5"]);
        assert_eq!(labels(1e-6, 1e2, 5), ["10⁻⁶", "10⁻⁴", "10⁻²", "10⁰", "10²"]);
        assert_eq!(labels(2.0, 4.0, 4), ["2.0", "2.5", "3.0", "3.5", "4.0"]);
        assert!(labels(1e-300, 1e300, 6).len() <= 7);
    }

    #[test]
    fn labels_side_by_side_do_not_touch() {
        for (low, high) in [(0.0, 1.0), (-123_456.0, 654_321.0), (1e-7, 1.1e-7)] {
            let span = Span {
                scale: Scale::Linear,
                low,
                high,
            };
            for length in [150.0, 400.0, 900.0] {
                let ticks = Ticks::across(&span, length, 16.0);
                assert!(ticks.fit(length, 16.0), "{low} {high} {length}: {ticks:?}");
            }
        }
    }
}
