//! The settings of predictor-corrector sampling.

use serde::{Deserialize, Serialize};

use super::{Corrector, Order, Predictor, PredictorCorrector};
use crate::error::{Error, Result};
use crate::noise::{Coordinates, Levels, Path};
use crate::sample::description::{Scheme, levels_at};
use crate::sample::sampler::Sampler;
use crate::sample::setting::{Interval, Scale, Setting, SettingValue};

/// The settings of `pc`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::sample) struct Settings {
    predictor: Predictor,
    corrector: CorrectorName,
    /// For `langevin` and `ald`; 0.16 when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    snr: Option<f64>,
    /// For `cas`; 0.05 when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    eta: Option<f64>,
    /// M, corrector updates per level.
    corrections: usize,
    order: Order,
    coordinates: Coordinates,
}

/// [`Corrector`] as users write it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CorrectorName {
    Langevin,
    Ald,
    Cas,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            predictor: Predictor::default(),
            corrector: CorrectorName::Langevin,
            snr: None,
            eta: None,
            corrections: 1,
            order: Order::default(),
            coordinates: Coordinates::default(),
        }
    }
}

impl Scheme for Settings {
    const NAME: &str = "pc";
    const LABEL: &str = "PC";
    const ABOUT: &str = "Predictor-corrector sampling of score_sde";
    const PAPER: &str = "Song et al. 2021";
    const CALLS: &str = "(1 + M) N, or N + M (N - 1) predictor first, M corrections";
    const LAST_STEP: &str = "the predictor's mean";
    const SETTINGS: &[Setting] = &[
        Setting::choice(
            "predictor",
            &["reverse-diffusion", "ancestral"],
            "the update from one noise level to the next",
        ),
        Setting::choice(
            "corrector",
            &["langevin", "ald", "cas"],
            "the update at a fixed noise level",
        ),
        // Up to where 2 snr^2 < 1.
        Setting::real(
            "snr",
            Interval::open(0.0, std::f64::consts::FRAC_1_SQRT_2),
            (0.01, 0.7),
            Scale::Log,
            "signal-to-noise ratio of the corrector's step",
        )
        .otherwise(SettingValue::Real(0.16))
        .with("corrector", &["langevin", "ald"]),
        Setting::real(
            "eta",
            Interval::closed(0.0, 1.0),
            (0.0, 1.0),
            Scale::Linear,
            "the corrector's step size, as for cas",
        )
        .otherwise(SettingValue::Real(0.05))
        .with("corrector", &["cas"])
        .formerly(&["corrector_eta"]),
        Setting::count("corrections", 0, 3, "M, corrector updates per level")
            .default(SettingValue::Count(1)),
        Setting::choice(
            "order",
            &["corrector-first", "predictor-first"],
            "which of the two a step begins with",
        ),
        Setting::choice(
            "coordinates",
            &["ve", "vp", "sub-vp"],
            "coordinates of the state",
        ),
    ];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        // N (1 + M) calls, or M fewer.
        let spared = match self.order {
            Order::CorrectorFirst => 0,
            Order::PredictorFirst => self.corrections,
        };
        let (all, each) = (
            calls.saturating_add(spared),
            self.corrections.saturating_add(1),
        );
        levels_at(all, each, 1).map_err(|_| {
            let reason = format!("too few: a level takes {each}");
            Error::setting("calls", calls, reason)
        })
    }

    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        let corrector = match self.corrector {
            CorrectorName::Langevin => Corrector::Langevin(self.snr.unwrap_or(0.16)),
            CorrectorName::Ald => Corrector::Ald(self.snr.unwrap_or(0.16)),
            CorrectorName::Cas => Corrector::Cas(self.eta.unwrap_or(0.05)),
        };
        let cas = self.corrector == CorrectorName::Cas;
        if let (Some(snr), true) = (self.snr, cas) {
            let reason = "is for the correctors langevin and ald; cas has eta";
            return Err(Error::setting("snr", snr, reason));
        }
        if let (Some(eta), false) = (self.eta, cas) {
            let reason = "is for the corrector cas; langevin and ald have snr";
            return Err(Error::setting("eta", eta, reason));
        }
        let path = Path::new(levels, self.coordinates);
        let (predictor, corrections, order) = (self.predictor, self.corrections, self.order);
        let sampler = PredictorCorrector::new(&path, predictor, corrector, corrections, order)?;
        Ok(Box::new(sampler))
    }
}
