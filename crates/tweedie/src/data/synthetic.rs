//! Synthetic sets, with one random stream per item: item i depends on the seed and i alone.

use std::f64::consts::{PI, TAU};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::arrange::Items;
use super::array::Values;
use super::labels::Labels;
use super::shape::Shape;
use super::spec::DataSpec;
use crate::error::{Error, Result};

/// The most points that are drawn.
const MOST_POINTS: usize = 100_000_000;

/// A mixture of Gaussians of one standard deviation in every direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// The weight of each component; they sum to 1.
    pub weights: Vec<f64>,
    /// The centre of each component, all of one dimension.
    pub means: Vec<Vec<f64>>,
    /// The standard deviation of every component.
    pub std: f64,
}

/// The distribution that the synthetic set `name` is drawn from (`tutorial`, `gaussians-8`,
/// `gaussians-25`), before any standardising; `None` for other names.
pub fn mixture(name: &str) -> Option<Mixture> {
    Synthetic::named(name)?.mixture()
}

/// The synthetic sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Synthetic {
    Tutorial,
    SwissRoll,
    Gaussians8,
    Gaussians25,
    TwoMoons,
}

impl Synthetic {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "tutorial" => Some(Self::Tutorial),
            "swiss-roll" => Some(Self::SwissRoll),
            "gaussians-8" => Some(Self::Gaussians8),
            "gaussians-25" => Some(Self::Gaussians25),
            "two-moons" => Some(Self::TwoMoons),
            _ => None,
        }
    }

    /// The points that `spec` asks for, and the component that each was drawn from, where the set
    /// has components.
    pub fn draw(self, spec: &DataSpec) -> Result<(Items, Option<Labels>)> {
        let count = spec.count.unwrap_or(match self {
            Self::Tutorial => 1024,
            _ => 10_000,
        });
        if count > MOST_POINTS {
            let reason = format!("give at most {MOST_POINTS}");
            return Err(Error::setting("count", count, reason));
        }
        let dim = match self {
            Self::Tutorial => 1,
            _ => 2,
        };
        let mixture = self.mixture();
        let kept = count.min(spec.limit.unwrap_or(count));
        let mut values = Vec::with_capacity(kept * dim);
        let mut components = Vec::new();
        for i in 0..kept {
            let mut stream = Stream::new(spec.seed, i as u64);
            match (self, &mixture) {
                (_, Some(mixture)) => components.push(stream.draw_from(mixture, &mut values)),
                (Self::TwoMoons, _) => {
                    let (moon, point) = two_moons(&mut stream);
                    components.push(moon);
                    values.extend(point);
                }
                _ => values.extend(swiss_roll(&mut stream)),
            }
        }
        let items = Items {
            shape: Shape::Vector { dim },
            values: Values::F32(values),
        };
        let classes = self.classes();
        let labels = match classes.is_empty() {
            true => None,
            false => Some(Labels::new(components, classes)?),
        };
        Ok((items, labels))
    }

    /// The names of the components: the moons', and the numbers of a mixture's Gaussians in the
    /// order of [`Mixture::means`].
    fn classes(self) -> Vec<String> {
        match (self, self.mixture()) {
            (Self::TwoMoons, _) => MOONS.map(String::from).to_vec(),
            (_, Some(mixture)) => (0..mixture.means.len()).map(|k| k.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    fn mixture(self) -> Option<Mixture> {
        let even = |means: Vec<Vec<f64>>, std: f64| {
            let weights = vec![1.0 / means.len() as f64; means.len()];
            Some(Mixture {
                weights,
                means,
                std,
            })
        };
        match self {
            Self::Tutorial => Some(Mixture {
                weights: vec![0.1, 0.9],
                means: vec![vec![-3.0], vec![3.0]],
                std: 1.0,
            }),
            // The divisors are the literals of the reference code, not square roots.
            Self::Gaussians8 => {
                let angles = (0..8).map(|k| TAU * f64::from(k) / 8.0);
                let mean = |a: f64| vec![2.0 * a.cos() / 1.414, 2.0 * a.sin() / 1.414];
                even(angles.map(mean).collect(), 0.02 / 1.414)
            }
            Self::Gaussians25 => {
                let cells = (-2..=2).flat_map(|x| (-2..=2).map(move |y| [x, y]));
                let mean = |cell: [i32; 2]| cell.map(|k| 2.0 * f64::from(k) / 2.828).to_vec();
                even(cells.map(mean).collect(), 0.05 / 2.828)
            }
            Self::SwissRoll | Self::TwoMoons => None,
        }
    }
}

/// Dimensions 0 and 2 of scikit-learn's `make_swiss_roll` with noise 0.25, divided by 7.5.
fn swiss_roll(stream: &mut Stream) -> [f32; 2] {
    let t = 1.5 * PI * (1.0 + 2.0 * stream.uniform());
    [t * t.cos(), t * t.sin()].map(|x| ((x + 0.25 * stream.normal()) / 7.5) as f32)
}

/// The two moons, in the order of their labels.
const MOONS: [&str; 2] = ["outer", "inner"];

/// scikit-learn's `make_moons` with noise 0.05; angles uniform on half a turn. Which of [`MOONS`]
/// it is, and the point.
fn two_moons(stream: &mut Stream) -> (u32, [f32; 2]) {
    let outer = stream.uniform() < 0.5;
    let (sin, cos) = (PI * stream.uniform()).sin_cos();
    let point = if outer {
        [cos, sin]
    } else {
        [1.0 - cos, 0.5 - sin]
    };
    let moon = if outer { 0 } else { 1 };
    (moon, point.map(|x| (x + 0.05 * stream.normal()) as f32))
}

/// The random numbers of one item.
struct Stream {
    rng: ChaCha8Rng,
    /// The second number of the last Box-Muller pair.
    spare: Option<f64>,
}

impl Stream {
    fn new(seed: u64, item: u64) -> Self {
        // A key of its own, so that the noise of a sampler under the same seed and number differs.
        let mut key = *b"........tweedie data, synthetic.";
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(item);
        Self { rng, spare: None }
    }

    /// Uniform on [0, 1), 53 bits.
    fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // 1 - u is in (0, 1], so the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Adds a point to `out` and returns the component that it is from.
    fn draw_from(&mut self, mixture: &Mixture, out: &mut Vec<f32>) -> u32 {
        let mut left = self.uniform();
        let last = mixture.means.len() - 1;
        let chosen = mixture.weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        // Weights that sum to a hair less than 1 leave the last component.
        let component = chosen.unwrap_or(last);
        for mean in &mixture.means[component] {
            out.push((mean + mixture.std * self.normal()) as f32);
        }
        component as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 20_000;
    /// How many standard errors a mean or a variance may be off.
    const MOST_ERRORS: f64 = 4.5;

    fn draw(name: &str, count: usize, seed: u64) -> Vec<f32> {
        let spec = DataSpec {
            count: Some(count),
            seed,
            ..DataSpec::new(name)
        };
        let (items, _) = Synthetic::named(name).unwrap().draw(&spec).unwrap();
        match items.values {
            Values::F32(values) => values,
            Values::U8(_) => unreachable!(),
        }
    }

    /// Checks one coordinate's mean and variance, each within [`MOST_ERRORS`] standard errors.
    fn check(name: &str, axis: usize, dim: usize, mean: f64, variance: f64) {
        let points = draw(name, N, 5);
        let values: Vec<f64> = points
            .iter()
            .skip(axis)
            .step_by(dim)
            .map(|&v| f64::from(v) - mean)
            .collect();
        let moment = |k: i32| values.iter().map(|v| v.powi(k)).sum::<f64>() / N as f64;
        let mean_error = (variance / N as f64).sqrt();
        let variance_error = ((moment(4) - variance * variance) / N as f64).sqrt();
        assert!(
            moment(1).abs() < MOST_ERRORS * mean_error,
            "{name} mean off {}",
            moment(1)
        );
        let off = moment(2) - variance;
        assert!(
            off.abs() < MOST_ERRORS * variance_error,
            "{name} variance off {off}"
        );
    }

    #[test]
    fn moments_of_the_mixtures_are_those_of_their_distributions() {
        check("tutorial", 0, 1, 2.4, 4.24);
        for axis in [0, 1] {
            let scale = 1.414_f64.powi(2);
            check("gaussians-8", axis, 2, 0.0, (2.0 + 0.02 * 0.02) / scale);
            let scale = 2.828_f64.powi(2);
            check("gaussians-25", axis, 2, 0.0, (8.0 + 0.05 * 0.05) / scale);
        }
    }

    #[test]
    fn moments_of_the_swiss_roll_are_those_of_its_distribution() {
        // t uniform on [1.5 pi, 4.5 pi]: E t cos t = 2, E t sin t = 2/(3 pi), and
        // E (t cos t)^2 = 4.875 pi^2 - 1/4, E (t sin t)^2 = 4.875 pi^2 + 1/4.
        let (scale, noise) = (7.5 * 7.5, 0.25 * 0.25);
        let means = [2.0, 2.0 / (3.0 * PI)];
        let squares = [4.875 * PI * PI - 0.25, 4.875 * PI * PI + 0.25];
        for axis in [0, 1] {
            let variance = (squares[axis] - means[axis] * means[axis] + noise) / scale;
            check("swiss-roll", axis, 2, means[axis] / 7.5, variance);
        }
    }

    #[test]
    fn moments_of_the_moons_are_those_of_their_distribution() {
        // x: halves with means 0 and 1, each of variance 1/2. y: E = (2/pi + 1/2 - 2/pi)/2 = 1/4,
        // E y^2 = (1/2 + 3/4 - 2/pi)/2.
        check("two-moons", 0, 2, 0.5, 0.75 + 0.0025);
        check(
            "two-moons",
            1,
            2,
            0.25,
            (1.25 - 2.0 / PI) / 2.0 - 0.0625 + 0.0025,
        );
    }

    #[test]
    fn points_of_the_mixtures_are_near_centres_and_fill_all() {
        for (name, centres) in [("gaussians-8", 8), ("gaussians-25", 25)] {
            let target = mixture(name).unwrap();
            let mut hits = vec![0; centres];
            for point in draw(name, 5000, 0).chunks_exact(2) {
                let distance = |mean: &Vec<f64>| {
                    mean.iter()
                        .zip(point)
                        .map(|(m, &x)| (m - f64::from(x)).powi(2))
                        .sum::<f64>()
                };
                let near = |mean: &Vec<f64>| distance(mean).sqrt() < 6.0 * target.std;
                hits[target.means.iter().position(near).unwrap()] += 1;
            }
            // Binomial counts, five standard deviations.
            let (n, p): (f64, f64) = (5000.0, 1.0 / centres as f64);
            let most = 5.0 * (n * p * (1.0 - p)).sqrt();
            assert!(
                hits.iter().all(|&k| (f64::from(k) - n * p).abs() < most),
                "{hits:?}"
            );
        }
        assert_eq!(mixture("swiss-roll"), None);
    }

    #[test]
    fn labels_name_the_component_that_a_point_is_from() {
        for name in ["tutorial", "gaussians-8", "gaussians-25"] {
            let target = mixture(name).unwrap();
            let (items, labels) = Synthetic::named(name)
                .unwrap()
                .draw(&DataSpec::new(name))
                .unwrap();
            let (Values::F32(values), Some(labels)) = (items.values, labels) else {
                panic!("{name}: points with labels");
            };
            assert_eq!(labels.classes().len(), target.means.len(), "{name}");
            let points = values.chunks_exact(target.means[0].len());
            for (point, &label) in points.zip(labels.values()) {
                for (&x, mean) in point.iter().zip(&target.means[label as usize]) {
                    assert!((f64::from(x) - mean).abs() < 6.0 * target.std, "{name}");
                }
            }
        }
        // The arcs' radius is 1; six standard deviations of the noise are 0.3.
        let (items, labels) = Synthetic::TwoMoons
            .draw(&DataSpec::new("two-moons"))
            .unwrap();
        let (Values::F32(values), Some(labels)) = (items.values, labels) else {
            panic!("points with labels");
        };
        assert_eq!(labels.classes(), ["outer", "inner"]);
        for (point, &label) in values.chunks_exact(2).zip(labels.values()) {
            let [x, y] = [f64::from(point[0]), f64::from(point[1])];
            let outer = (x.hypot(y) - 1.0).abs() < 0.3 && y > -0.3;
            let inner = ((x - 1.0).hypot(y - 0.5) - 1.0).abs() < 0.3 && y < 0.8;
            assert!(if label == 0 { outer } else { inner }, "{x} {y} {label}");
        }
        let (_, none) = Synthetic::SwissRoll
            .draw(&DataSpec::new("swiss-roll"))
            .unwrap();
        assert_eq!(none, None);
    }

    #[test]
    fn an_item_depends_on_the_seed_and_its_number_alone() {
        for name in [
            "tutorial",
            "swiss-roll",
            "gaussians-8",
            "gaussians-25",
            "two-moons",
        ] {
            let many = draw(name, 50, 7);
            let few = draw(name, 20, 7);
            assert_eq!(many[..few.len()], few[..]);
            assert_ne!(draw(name, 20, 8), few);
        }
    }

    #[test]
    fn the_draws_stay_what_they_are() {
        // Recorded from this code: if the sets changed, users' results would change with them.
        for (name, expected) in [
            ("tutorial", [3.204_264_6_f32, 3.899_804_4]),
            ("swiss-roll", [-0.937_794_45, 0.628_619_43]),
            ("gaussians-8", [-0.997_261_9, 0.972_400_4]),
            ("gaussians-25", [0.003_611_47, -1.449_115_4]),
            ("two-moons", [-0.982_769_13, 0.410_182_83]),
        ] {
            let drawn = draw(name, 2, 0);
            let near = expected
                .iter()
                .zip(&drawn)
                .all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(near, "{name}: {drawn:?}");
        }
    }
}
