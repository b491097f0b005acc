//! Consistent annealed sampling (CAS).
//!
//! Algorithm 2 of Jolicoeur-Martineau et al. 2021, for any schedule: with
//! gamma_i = sigma_{i+1}/sigma_i, sigma_{L+1} = 0 and beta_i = sqrt(1 - ((1 - eta)/gamma_i)^2),
//!
//! x <- x + eta sigma_i^2 s(x, sigma_i) + beta_i sigma_{i+1} z
//!   =  (1 - eta) x + eta H(x, sigma_i) + beta_i sigma_{i+1} z.
//!
//! The noise on a point mass then follows the schedule exactly (their Proposition 2):
//! (1 - eta)^2 sigma_i^2 + beta_i^2 sigma_{i+1}^2 = sigma_{i+1}^2. That needs
//! 1 - gamma_i <= eta <= 1 (Serra et al. 2021, Eq. 6), which eta = 1 - gamma_i^eps_c with eps_c in
//! \[1, inf\] always meets (Eq. 7), with beta_i = sqrt(1 - gamma_i^(2 (eps_c - 1))). eps_c = 1 is
//! DDIM and the Euler step of the probability flow; eps_c = 2 the ancestral sampler of the
//! variance-exploding process; eps_c = inf adds fresh noise to H.
//!
//! To spend n_sigma steps a level, dilate the levels: [`Levels::dilate`].

use serde::{Deserialize, Serialize};

use super::sampler::{Sampler, State};
use super::scheme::Settings;
use super::step_size::StepSize;
use crate::error::Result;
use crate::noise::{Coordinates, Level, Levels, Path};

/// Relative excess of (1 - eta)/gamma over 1 that is taken for rounding: the lower end of the
/// feasible interval is itself a rounded number.
const SLACK: f64 = 1e-12;

/// Consistent annealed sampling.
#[derive(Clone, Debug, PartialEq)]
pub struct Cas {
    steps: Vec<CasStep>,
}

/// One step of consistent annealed sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CasStep {
    /// sigma_i, the noise level before.
    pub sigma: f64,
    /// sigma_{i+1}, the noise level after; 0 at the last step.
    pub sigma_next: f64,
    /// eta_i in (0, 1], the share of the way to H.
    pub eta: f64,
    /// beta_i in [0, 1], the share of the noise that is fresh; 0 at the last step, which adds
    /// none.
    pub beta: f64,
}

impl Cas {
    /// CAS down `levels`, one step a level, the last to noise 0.
    ///
    /// Under eps_c the last step has gamma = 0 and so eta = 1: it returns H. With a constant eta
    /// it goes the share eta of the way to H, as in the paper; the noise left is then
    /// (1 - eta) sigma_L, not 0.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] for an eta outside the feasible interval of any level, with the
    /// interval in the unit given and the level that is violated, and for eps_c below 1.
    pub fn new(levels: &Levels, step_size: StepSize) -> Result<Self> {
        let steps = match step_size.constant(levels) {
            Some(eta) => constant_steps(levels, step_size, eta?)?,
            None => adaptive_steps(levels, step_size)?,
        };
        Ok(Self { steps })
    }

    /// The steps with their eta and beta.
    pub fn coefficients(&self) -> &[CasStep] {
        &self.steps
    }
}

/// Pairs (sigma_i, sigma_{i+1}) with sigma_{L+1} = 0.
fn gaps(levels: &Levels) -> Vec<(f64, f64)> {
    let steps = Path::new(levels, Coordinates::Ve);
    steps.steps().map(|s| (s.from.sigma, s.to.sigma)).collect()
}

/// The same eta at every level.
fn constant_steps(levels: &Levels, step_size: StepSize, eta: f64) -> Result<Vec<CasStep>> {
    let (name, unit) = (step_size.name(), step_size.unit(levels));
    // The level with the largest step down needs the largest eta.
    let lowest = levels
        .gammas()
        .iter()
        .map(|gamma| 1.0 - gamma)
        .fold(0.0, f64::max);
    let interval = format!(
        "{name} must lie in [{}, {unit}] for these levels",
        lowest * unit
    );
    if eta > 1.0 + SLACK {
        return Err(step_size.refuse(format!(
            "{interval}: above, a step goes beyond the denoised sample at every level"
        )));
    }
    let eta = eta.min(1.0);
    let mut steps = Vec::with_capacity(levels.len());
    for (i, (sigma, sigma_next)) in gaps(levels).into_iter().enumerate() {
        if sigma_next == 0.0 {
            steps.push(CasStep {
                sigma,
                sigma_next,
                eta,
                beta: 0.0,
            });
            continue;
        }
        let gamma = sigma_next / sigma;
        // The noise kept, as a share of the noise scheduled.
        let kept = (1.0 - eta) / gamma;
        if kept > 1.0 + SLACK {
            return Err(step_size.refuse(format!(
                "{interval}; it is below {} at level {} (sigma = {sigma}, gamma = {gamma}), where \
                 a step leaves more noise than the next level has; use more levels or eps_c",
                (1.0 - gamma) * unit,
                i + 1
            )));
        }
        // At the boundary beta is 0; the root would turn an error of 1e-16 into 1e-8.
        let beta = if kept >= 1.0 - 8.0 * f64::EPSILON {
            0.0
        } else {
            (1.0 - kept * kept).sqrt()
        };
        steps.push(CasStep {
            sigma,
            sigma_next,
            eta,
            beta,
        });
    }
    Ok(steps)
}

/// eta = 1 - gamma^eps_c.
fn adaptive_steps(levels: &Levels, step_size: StepSize) -> Result<Vec<CasStep>> {
    let eps_c = step_size.value();
    if eps_c.is_nan() || eps_c < 1.0 {
        return Err(step_size.refuse(
            "eps_c must lie in [1, inf]; below 1 a step leaves more noise than the next level has",
        ));
    }
    let step = |(sigma, sigma_next): (f64, f64)| {
        if sigma_next == 0.0 {
            return CasStep {
                sigma,
                sigma_next,
                eta: 1.0,
                beta: 0.0,
            };
        }
        let log_gamma = (sigma_next / sigma).ln();
        let eta = -(eps_c * log_gamma).exp_m1();
        let beta = (-(2.0 * (eps_c - 1.0) * log_gamma).exp_m1()).sqrt();
        CasStep {
            sigma,
            sigma_next,
            eta,
            beta,
        }
    };
    Ok(gaps(levels).into_iter().map(step).collect())
}

impl Sampler for Cas {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        let step = &self.steps[i];
        (Level::ve(step.sigma), Level::ve(step.sigma_next))
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let CasStep {
            sigma,
            sigma_next,
            eta,
            beta,
        } = self.steps[i];
        state.denoise(Level::ve(sigma))?;
        state.update(1.0 - eta, eta, beta * sigma_next);
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        Some(self.steps.len())
    }
}

/// The settings of `cas`: at most one of the three step sizes, eps_c = 2 without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CasSettings {
    /// Steps for each level: the levels are dilated.
    n_sigma: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eps_b: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eps_c: Option<f64>,
}

impl Default for CasSettings {
    fn default() -> Self {
        Self {
            n_sigma: 1,
            eta: None,
            eps_b: None,
            eps_c: None,
        }
    }
}

impl Settings for CasSettings {
    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        let given = StepSize::given(self.eta, self.eps_b, self.eps_c)?;
        let step_size = given.unwrap_or(StepSize::EpsC(2.0));
        Ok(Box::new(Cas::new(
            &levels.dilate(self.n_sigma)?,
            step_size,
        )?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(levels: &Levels, step_size: StepSize) -> String {
        Cas::new(levels, step_size).unwrap_err().to_string()
    }

    #[test]
    fn property_10_beta_at_the_named_values() {
        let levels = Levels::geometric(50.0, 0.01, 8).unwrap();
        let beta = |eps_c| {
            let cas = Cas::new(&levels, StepSize::EpsC(eps_c)).unwrap();
            cas.coefficients()[..7].to_vec()
        };
        assert!(beta(1.0).iter().all(|step| step.beta == 0.0));
        assert!(
            beta(2.0)
                .iter()
                .all(|step| (step.beta - step.eta.sqrt()).abs() < 1e-14)
        );
        assert!(
            beta(f64::INFINITY)
                .iter()
                .all(|step| step.beta == 1.0 && step.eta == 1.0)
        );
        for eps_c in [1.0, 1.2, 1.56, 2.0, 7.0, 300.0] {
            for step in beta(eps_c) {
                let gamma = step.sigma_next / step.sigma;
                assert!(step.eta >= (1.0 - gamma) * (1.0 - 1e-14) && step.eta <= 1.0);
                // The closed form is the definition.
                let definition = (1.0 - ((1.0 - step.eta) / gamma).powi(2)).max(0.0).sqrt();
                assert!((step.beta - definition).abs() < if eps_c == 1.0 { 1e-7 } else { 1e-12 });
            }
        }
    }

    #[test]
    fn property_10_an_infeasible_eta_is_refused_with_the_interval() {
        let levels = Levels::new(vec![8.0, 4.0, 1.0, 0.5]).unwrap();
        let message = refusal(&levels, StepSize::Eta(0.6));
        assert!(
            message.starts_with("eta = 0.6: eta must lie in [0.75, 1]"),
            "{message}"
        );
        assert!(
            message.contains("below 0.75 at level 2 (sigma = 4, gamma = 0.25)"),
            "{message}"
        );
        // In units of eps_b = eta sigma_L^2.
        let message = refusal(&levels, StepSize::EpsB(0.1));
        assert!(
            message.starts_with("eps_b = 0.1: eps_b must lie in [0.1875, 0.25]"),
            "{message}"
        );
        let message = refusal(&levels, StepSize::EpsB(0.3));
        assert!(message.contains("[0.1875, 0.25]"), "{message}");
        let message = refusal(&levels, StepSize::EpsC(0.99));
        assert!(
            message.starts_with("eps_c = 0.99: eps_c must lie in [1, inf]"),
            "{message}"
        );
        assert!(refusal(&levels, StepSize::EpsC(f64::NAN)).starts_with("eps_c"));
        for eta in [0.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(refusal(&levels, StepSize::Eta(eta)).starts_with("eta"));
        }
    }

    #[test]
    fn property_10_both_ends_of_the_interval_are_legal() {
        for levels in [
            Levels::geometric(50.0, 0.01, 232).unwrap(),
            Levels::geometric(3.0, 0.7, 5).unwrap(),
            Levels::geometric(2.0, 0.5, 16).unwrap(),
        ] {
            let lowest = levels
                .gammas()
                .iter()
                .map(|gamma| 1.0 - gamma)
                .fold(0.0, f64::max);
            let square = levels.last() * levels.last();
            for step_size in [StepSize::Eta(lowest), StepSize::EpsB(lowest * square)] {
                let cas = Cas::new(&levels, step_size).unwrap();
                assert!(cas.coefficients().iter().all(|step| step.beta < 1e-6));
            }
            for step_size in [StepSize::Eta(1.0), StepSize::EpsB(square)] {
                let cas = Cas::new(&levels, step_size).unwrap();
                let last = levels.len() - 1;
                assert!(
                    cas.coefficients()[..last]
                        .iter()
                        .all(|step| step.beta == 1.0)
                );
            }
        }
    }

    #[test]
    fn one_level_is_one_step_to_the_data() {
        let level = Levels::new(vec![0.7]).unwrap();
        let cas = Cas::new(&level, StepSize::EpsC(1.5)).unwrap();
        let step = CasStep {
            sigma: 0.7,
            sigma_next: 0.0,
            eta: 1.0,
            beta: 0.0,
        };
        assert_eq!(cas.coefficients(), [step]);
        let cas = Cas::new(&level, StepSize::Eta(0.3)).unwrap();
        assert_eq!(cas.coefficients(), [CasStep { eta: 0.3, ..step }]);
    }

    #[test]
    fn the_papers_step_sizes_are_feasible_with_the_eps_c_the_facts_state() {
        for (sigma_1, count, n_sigma, eps_b, eps_c) in [
            (50.0, 232, 1, 5.6e-6, 1.56),
            (50.0, 232, 5, 1.1e-6, 1.50),
            (50.0, 232, 1, 5.45e-6, 1.52),
            (50.0, 232, 5, 1.05e-6, 1.43),
            (140.0, 788, 1, 2.8e-6, 2.34),
            (140.0, 788, 5, 4.5e-7, 1.86),
            (50.0, 200, 1, 5e-6, 1.20),
        ] {
            let levels = Levels::geometric(sigma_1, 0.01, count).unwrap();
            let levels = levels.dilate(n_sigma).unwrap();
            let cas = Cas::new(&levels, StepSize::EpsB(eps_b)).unwrap();
            let step = cas.coefficients()[0];
            let found = (1.0 - step.eta).ln() / (step.sigma_next / step.sigma).ln();
            assert!((found - eps_c).abs() < 0.005, "{found} for {eps_c}");
        }
    }
}
