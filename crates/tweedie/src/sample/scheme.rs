//! The samplers by name, each with the settings a user may give it.
//!
//! A sampler's file says what its settings are and how they make a sampler; the list at the end of
//! this file is all that names it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::sampler::Sampler;
use crate::error::{Error, Result};
use crate::noise::Levels;

/// The settings of a sampler: keys with defaults, unknown ones refused.
pub trait Settings: Serialize + DeserializeOwned + Default {
    /// The sampler that descends `levels`.
    ///
    /// # Errors
    /// Names the setting that is not feasible, and what would be.
    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>>;
}

/// Reads `table` as the settings `S` of the sampler called `name`.
fn read<S: Settings>(name: &str, table: &Table) -> Result<S> {
    S::deserialize(table.clone()).map_err(|error| {
        // With the key, which stands in a line of its own.
        let text = error.to_string();
        let reason = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Error::setting("sample.sampler", name, reason)
    })
}

/// One sampler's default settings, as a table; those without a default are left out.
fn defaults<S: Settings>() -> Table {
    Table::try_from(S::default()).unwrap_or_default()
}

macro_rules! samplers {
    ($($(#[doc = $about:literal])+ $kind:ident $name:literal $label:literal $settings:ty;)+) => {
        /// A sampling scheme.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum SamplerKind {
            $($(#[doc = $about])+ #[serde(rename = $name)] $kind,)+
        }

        impl SamplerKind {
            /// All schemes.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The name in configurations and on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// The name as papers write it.
            pub fn label(self) -> &'static str {
                match self { $(Self::$kind => $label),+ }
            }

            /// What it is, in a line.
            pub fn about(self) -> &'static str {
                match self { $(Self::$kind => concat!($($about),+).trim()),+ }
            }

            /// The settings there are, with their defaults; those without one are left out.
            pub fn defaults(self) -> Table {
                match self { $(Self::$kind => defaults::<$settings>()),+ }
            }

            /// Checks that these are `settings` of the sampler.
            ///
            /// # Errors
            /// Names the setting that is unknown or of the wrong kind, and those there are.
            pub fn check(self, settings: &Table) -> Result<()> {
                match self {
                    $(Self::$kind => read::<$settings>($name, settings).map(|_| ())),+
                }
            }

            /// The sampler with these `settings` that descends `levels`.
            ///
            /// # Errors
            /// Names the setting that is unknown or not feasible, and what would be.
            pub fn sampler(self, settings: &Table, levels: &Levels) -> Result<Box<dyn Sampler>> {
                match self {
                    $(Self::$kind => read::<$settings>($name, settings)?.sampler(levels)),+
                }
            }
        }
    };
}

samplers! {
    /// Consistent annealed sampling: keeps exactly the noise that is scheduled; one of eps_c (2),
    /// eta and eps_b.
    Cas "cas" "CAS" super::cas::CasSettings;
    /// Annealed Langevin sampling, n_sigma steps at each level; eta (Technique 4) or eps_b.
    Als "als" "ALS" super::als::AlsSettings;
    /// Predictor-corrector sampling of score_sde; correctors langevin and ald by snr (0.16), cas by
    /// corrector_eta (0.05).
    Pc "pc" "PC" super::predictor_corrector::PcSettings;
    /// The ancestral sampler of DDPM.
    Ancestral "ancestral" "ancestral" super::ancestral::AncestralSettings;
    /// Denoising diffusion implicit models; deterministic at ddim_eta = 0.
    Ddim "ddim" "DDIM" super::ddim::DdimSettings;
    /// Euler-Maruyama on the reverse-time stochastic differential equation; beta_min (0.1) and
    /// beta_max (20) for vp and sub-vp.
    ReverseSde "reverse-sde" "reverse SDE" super::reverse_sde::ReverseSdeSettings;
    /// Heun's method of EDM, with churn if asked for; 2N - 1 calls.
    Heun "heun" "Heun" super::heun::Churn;
    /// The probability-flow equation: by an adaptive solver with rtol and atol (1e-5), Euler's or
    /// Heun's method.
    Ode "ode" "ODE" super::probability_flow::OdeSettings;
    /// DPM-Solver++ of second order, deterministic.
    Dpmpp2m "dpmpp-2m" "DPM-Solver++ 2M" super::dpm_solver::Dpmpp2mSettings;
    /// DPM-Solver++ of second order, stochastic.
    Dpmpp2mSde "dpmpp-2m-sde" "DPM-Solver++ SDE-2M" super::dpm_solver::Dpmpp2mSdeSettings;
}

#[expect(
    clippy::derivable_impls,
    reason = "the list above has lines, not attributes"
)]
impl Default for SamplerKind {
    fn default() -> Self {
        Self::Cas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sampler_has_a_name_of_its_own_and_defaults_that_work() {
        let levels = Levels::geometric(5.0, 0.05, 8).unwrap();
        for (i, kind) in SamplerKind::ALL.iter().enumerate() {
            let first = SamplerKind::ALL
                .iter()
                .position(|k| k.name() == kind.name());
            assert_eq!(first, Some(i));
            assert!(kind.about().len() > 20);
            for settings in [Table::new(), kind.defaults()] {
                let sampler = kind.sampler(&settings, &levels).unwrap();
                assert!((7..=8).contains(&sampler.steps()), "{}", kind.name());
            }
            let text = toml::to_string(&Wrapped { sampler: *kind }).unwrap();
            assert_eq!(text, format!("sampler = \"{}\"\n", kind.name()));
            let unknown = Table::from_iter([("wrong".to_owned(), 1.into())]);
            let message = kind.sampler(&unknown, &levels).err().unwrap().to_string();
            assert!(message.contains("wrong"), "{message}");
            assert!(message.contains(kind.name()), "{message}");
        }
    }

    #[derive(Serialize)]
    struct Wrapped {
        sampler: SamplerKind,
    }
}
