//! Samplers: from noise to data through a [`Denoiser`](crate::score::Denoiser).
//!
//! Each algorithm is a [`Sampler`], one file with one step; the loop around it is [`run`], which
//! counts network calls and shows every step to an [`Observer`]. [`SamplerKind`] knows all of them
//! by name.
//!
//! | sampler | paper | calls in N steps | the last step |
//! |---|---|---|---|
//! | [`Als`] | Song and Ermon 2019 | n_sigma N | with noise; take the denoised sample |
//! | [`Cas`] | Jolicoeur-Martineau et al. 2021, Serra et al. 2021 | N | no noise; H under eps_c |
//! | [`PredictorCorrector`] | Song et al. 2021 | (1 + M) N, or N + M (N - 1) predictor first | the predictor's mean |
//! | [`ancestral`], [`LearnedAncestral`] | Ho et al. 2020 | N | the mean, H |
//! | [`ddim`] | Song, Meng and Ermon 2021 | N | H |
//! | [`reverse_sde`] | Song et al. 2021 | N | the mean |
//! | [`Heun`] | Karras et al. 2022 | 2N - 1 | Euler's, to H |
//! | [`ProbabilityFlow`] | Song et al. 2021 | as the tolerances need | at the last level |
//! | [`DpmSolver`] | Lu et al. 2022 | N | H |
//!
//! ```
//! use tweedie::noise::Levels;
//! use tweedie::random::{NoiseSource, Stream};
//! use tweedie::sample::{Cas, StepSize, run};
//! use tweedie::score::GaussianMixture;
//!
//! let data = GaussianMixture::new(&[0.1, 0.9], vec![-3.0, 3.0], &[1.0, 1.0])?;
//! let levels = Levels::geometric(20.0, 0.01, 50)?;
//! let mut cas = Cas::new(&levels, StepSize::EpsC(1.5))?;
//! let noise = NoiseSource::new(0, Stream::Sampling);
//! let samples = run(&data, &mut cas, &noise, &[0, 1, 2, 3], &mut ())?;
//! assert_eq!(samples.denoised.len(), 4);
//! # Ok::<(), tweedie::Error>(())
//! ```

mod als;
mod ancestral;
mod cas;
mod ddim;
mod dpm_solver;
mod heun;
mod linear;
mod observers;
mod predictor_corrector;
mod probability_flow;
mod reverse_sde;
mod run;
mod sampler;
mod scheme;
mod step_size;

pub use als::Als;
pub use ancestral::{LearnedAncestral, Variance, ancestral};
pub use cas::{Cas, CasStep};
pub use ddim::ddim;
pub use dpm_solver::DpmSolver;
pub use heun::{Churn, Heun};
pub use linear::{Linear, Update};
pub use observers::{NoiseLevel, NoiseLevels, Trajectory};
pub use predictor_corrector::{Corrector, Order, Predictor, PredictorCorrector};
pub use probability_flow::ProbabilityFlow;
pub use reverse_sde::reverse_sde;
pub use run::{Observer, Samples, StepView, run, run_from};
pub use sampler::{Sampler, State};
pub use scheme::SamplerKind;
pub use step_size::StepSize;
