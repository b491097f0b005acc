//! Samplers: from noise to data through a [`Denoiser`](crate::score::Denoiser).
//!
//! Each algorithm is a [`Sampler`], one file with one step; the loop around it is [`run`], which
//! counts network calls and shows every step to an [`Observer`]. [`SamplerKind`] knows all of them
//! by name.
//!
//! What each says about itself (its settings with their ranges, what it makes of a budget of
//! network calls) is its [`Description`]; this table and the README's are made of it:
//!
#![doc = include_str!("samplers.md")]
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

mod description;
mod linear;
mod observers;
mod per_level;
mod run;
mod sampler;
mod scheme;
mod setting;
mod step_size;

pub use description::{Description, Scheme};
pub use linear::{Linear, Update};
pub use observers::{NoiseLevel, NoiseLevels, Trajectory};
pub use per_level::PerLevel;
pub use run::{Observer, Samples, StepView, run, run_from};
pub use sampler::{Sampler, State};
pub use setting::{Interval, Reals, Scale, Setting, SettingKind, SettingValue};
pub use step_size::StepSize;

// All samplers: a line is the name in code, the file, and what is public of it. There is no other
// list of them.
scheme::samplers! {
    Cas in cas: Cas, CasStep;
    Als in als: Als;
    Pc in predictor_corrector: Corrector, Order, Predictor, PredictorCorrector;
    Ancestral in ancestral: LearnedAncestral, Variance, ancestral;
    Ddim in ddim: ddim;
    ReverseSde in reverse_sde: reverse_sde;
    Heun in heun: Churn, Heun;
    Ode in probability_flow: ProbabilityFlow;
    Dpmpp2m in dpm_solver: DpmSolver;
    Dpmpp2mSde in dpm_solver_sde;
    SaSolver in sa_solver: SaSolver;
    Exponential in exponential: Exponential, ExponentialStep;
}
