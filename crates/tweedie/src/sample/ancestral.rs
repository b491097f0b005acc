//! The ancestral sampler of DDPM.
//!
//! Ho, Jain and Abbeel 2020, Algorithm 2 and Eq. 7, for x = alpha x0 + sigma z in any coordinates.
//! With the forward process's a = alpha/alpha' and g^2 = sigma^2 - a^2 sigma'^2,
//!
//! x' = a sigma'^2/sigma^2 x + alpha' g^2/sigma^2 H + sqrt(variance) z,
//!
//! the mean of x' given x and x0 = H. In VP coordinates a = sqrt(1 - beta) and g^2 = beta. The
//! variance is g^2 sigma'^2/sigma^2 (`fixedsmall`: right for data at a point), g^2 (`fixedlarge`:
//! right for data N(0, I) in VP coordinates), or between (Nichol and Dhariwal 2021, Eq. 15). In VE
//! coordinates `fixedsmall` is consistent annealed sampling with eps_c = 2. The last step adds no
//! noise: it returns H.

use serde::{Deserialize, Serialize};

use super::description::{Scheme, levels_at};
use super::linear::{Linear, Update};
use super::sampler::{Sampler, State};
use super::setting::Setting;
use crate::error::{Error, Result};
use crate::noise::{Coordinates, Level, Levels, Path, Step};

/// The variance of the fresh noise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Variance {
    /// g^2 sigma'^2/sigma^2, the posterior's.
    #[default]
    FixedSmall,
    /// g^2, the forward process's.
    FixedLarge,
    /// exp(v ln large + (1 - v) ln small), the same v in \[0, 1\] everywhere.
    Between(f64),
}

impl Variance {
    /// The variance of a step that does not end at the data.
    fn of(self, step: &Step) -> f64 {
        let v = match self {
            Self::FixedSmall => 0.0,
            Self::FixedLarge => 1.0,
            Self::Between(v) => v,
        };
        between(step, v)
    }
}

/// exp(v ln large + (1 - v) ln small) = g^2 (sigma'^2/sigma^2)^(1 - v).
fn between(step: &Step, v: f64) -> f64 {
    step.g2() * (step.to.sigma / step.from.sigma).powf(2.0 * (1.0 - v))
}

/// The ancestral sampler along `path`.
///
/// # Errors
/// [`Error::Setting`] for a [`Variance::Between`] outside \[0, 1\].
pub fn ancestral(path: &Path, variance: Variance) -> Result<Linear> {
    if let Variance::Between(v) = variance
        && !(0.0..=1.0).contains(&v)
    {
        let reason = "must lie in [0, 1]: 0 is fixed-small, 1 fixed-large";
        return Err(Error::setting("variance", v, reason));
    }
    let update = |step: Step| {
        let (a, b) = step.posterior_mean();
        let last = step.to == Level::DATA;
        Update {
            from: step.from,
            to: step.to,
            a,
            b,
            c: if last { 0.0 } else { variance.of(&step).sqrt() },
        }
    };
    Ok(Linear::new(path.steps().map(update).collect()))
}

/// The ancestral sampler with variances that the model has learned, value by value
/// ([`Posterior::variance`](crate::score::Posterior::variance)).
#[derive(Clone, Debug)]
pub struct LearnedAncestral {
    steps: Vec<Step>,
    variance: Vec<f64>,
}

impl LearnedAncestral {
    /// The sampler along `path`.
    pub fn new(path: &Path) -> Self {
        Self {
            steps: path.steps().collect(),
            variance: Vec::new(),
        }
    }
}

impl Sampler for LearnedAncestral {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        (self.steps[i].from, self.steps[i].to)
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let step = self.steps[i];
        let (a, b) = step.posterior_mean();
        state.denoise_with_variance(step.from, &mut self.variance)?;
        if step.to == Level::DATA {
            state.update(a, b, 0.0);
        } else {
            let variance = &self.variance;
            state.update_rows(|row, x, h, z| {
                let variance = &variance[row * x.len()..];
                for (((x, h), z), &v) in x.iter_mut().zip(h).zip(z).zip(variance) {
                    *x = a * *x + b * h + between(&step, v).sqrt() * z;
                }
            });
        }
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        Some(self.steps.len())
    }
}

/// The settings of `ancestral`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    /// `fixed-small`, `fixed-large`, `learned`, or a number between 0 and 1.
    variance: VarianceSetting,
    /// Where `fixed-large` makes a difference.
    coordinates: Coordinates,
}

/// [`Variance`] as users write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected fixed-small, fixed-large or a number in [0, 1]"
)]
enum VarianceSetting {
    Named(VarianceName),
    Between(f64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum VarianceName {
    FixedSmall,
    FixedLarge,
    Learned,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            variance: VarianceSetting::Named(VarianceName::FixedSmall),
            coordinates: Coordinates::Vp,
        }
    }
}

impl Scheme for Settings {
    const NAME: &str = "ancestral";
    const LABEL: &str = "ancestral";
    const ABOUT: &str = "The ancestral sampler of DDPM";
    const PAPER: &str = "Ho et al. 2020";
    const CALLS: &str = "N";
    const LAST_STEP: &str = "the mean, H";
    const SETTINGS: &[Setting] = &[
        Setting::choice_or_share(
            "variance",
            &["fixed-small", "fixed-large"],
            "variance of the added noise: the posterior's (fixed-small), the forward process's \
             (fixed-large), or an interpolation of their logarithms",
        ),
        Setting::choice(
            "coordinates",
            &["vp", "ve", "sub-vp"],
            "coordinates of the state; they matter for fixed-large",
        ),
    ];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        levels_at(calls, 1, 1)
    }

    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        let path = Path::new(levels, self.coordinates);
        let variance = match self.variance {
            VarianceSetting::Named(VarianceName::FixedSmall) => Variance::FixedSmall,
            VarianceSetting::Named(VarianceName::FixedLarge) => Variance::FixedLarge,
            VarianceSetting::Named(VarianceName::Learned) => {
                return Ok(Box::new(LearnedAncestral::new(&path)));
            }
            VarianceSetting::Between(v) => Variance::Between(v),
        };
        Ok(Box::new(ancestral(&path, variance)?))
    }
}
