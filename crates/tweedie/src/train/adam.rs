//! Adam (Kingma & Ba 2015) and the moving average of the weights, in one pass over them.

use std::ops::Deref;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::sums::sum;
use crate::error::{Error, Result};

/// The optimiser's constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// Decay of the first moment, in (-1, 1). Adversarial training uses 0 and even -0.5.
    pub beta1: f64,
    /// Decay of the second moment, in [0, 1).
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

/// How the learning rate moves after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// It falls to zero at the last step along half a cosine.
    Cosine,
}

/// The learning rate at each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    /// The rate after the warm-up.
    pub peak: f64,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// What follows.
    pub schedule: Schedule,
    /// The last step, where `cosine` reaches zero.
    pub steps: u64,
}

impl LearningRate {
    /// The rate of step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        match self.schedule {
            Schedule::Constant => self.peak,
            Schedule::Cosine => {
                let length = self.steps.saturating_sub(self.warmup).max(1) as f64;
                let done = ((step - self.warmup) as f64 / length).min(1.0);
                self.peak * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }
}

/// The decay of the moving average at `step`: `min(decay, (1 + step)/(10 + step))`.
///
/// Without this warm-up the average is dominated by the initial weights for the first
/// 1/(1 - decay) steps, and samples drawn from it are noise.
pub fn ema_decay(decay: f64, step: u64) -> f64 {
    decay.min((1 + step) as f64 / (10 + step) as f64)
}

/// Moments and moving average, one array for each parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    config: AdamConfig,
    /// First moments m.
    pub first: Vec<Vec<f32>>,
    /// Second moments v.
    pub second: Vec<Vec<f32>>,
    /// The moving average of the weights.
    pub ema: Vec<Vec<f32>>,
}

/// Elements handled by one task; also the unit of summation, so that no result depends on the
/// number of threads.
const CHUNK: usize = 1 << 14;

impl Adam {
    /// Zero moments; the average starts at the weights.
    ///
    /// # Errors
    /// Names the constant that is out of its range.
    pub fn new(config: AdamConfig, weights: &[Vec<f32>]) -> Result<Self> {
        if !(config.beta1 > -1.0 && config.beta1 < 1.0) {
            return Err(Error::setting(
                "train.betas[0]",
                config.beta1,
                "must lie in (-1, 1)",
            ));
        }
        if !(0.0..1.0).contains(&config.beta2) {
            return Err(Error::setting(
                "train.betas[1]",
                config.beta2,
                "must lie in [0, 1)",
            ));
        }
        if !(config.epsilon as f32 > 0.0 && config.epsilon.is_finite()) {
            return Err(Error::setting(
                "train.adam_eps",
                config.epsilon,
                "must be positive",
            ));
        }
        let zeros: Vec<Vec<f32>> = weights.iter().map(|w| vec![0.0; w.len()]).collect();
        Ok(Self {
            config,
            first: zeros.clone(),
            second: zeros,
            ema: weights.to_vec(),
        })
    }

    /// One update of `weights` along `-gradients`, scaled by `gradient_scale`, number `step`
    /// from 0. Says whether all new weights are finite.
    ///
    /// ```text
    /// m <- beta1 m + (1 - beta1) g            v <- beta2 v + (1 - beta2) g^2
    /// w <- w - rate m^/(sqrt(v^) + epsilon)   with m^ = m/(1 - beta1^t), v^ = v/(1 - beta2^t)
    /// ema <- decay ema + (1 - decay) w
    /// ```
    #[must_use]
    pub fn update<'a, G: Deref<Target = [f32]> + 'a>(
        &mut self,
        weights: impl IntoIterator<Item = &'a mut Vec<f32>>,
        gradients: impl IntoIterator<Item = &'a G>,
        gradient_scale: f64,
        rate: f64,
        decay: f64,
        step: u64,
    ) -> bool {
        let AdamConfig {
            beta1,
            beta2,
            epsilon,
        } = self.config;
        // A whole number, for which powf also takes a negative base.
        let t = (step + 1) as f64;
        let constants = Constants {
            scale: gradient_scale as f32,
            // 1 - 0.999 loses four digits in f32, so the differences are formed in f64.
            gain1: (1.0 - beta1) as f32,
            gain2: (1.0 - beta2) as f32,
            size: (rate / (1.0 - beta1.powf(t))) as f32,
            root: (1.0 - beta2.powf(t)).sqrt() as f32,
            epsilon: epsilon as f32,
            follow: (1.0 - decay) as f32,
        };
        let states = self
            .first
            .iter_mut()
            .zip(&mut self.second)
            .zip(&mut self.ema);
        let mut tasks = Vec::new();
        for ((weights, gradients), ((first, second), ema)) in
            weights.into_iter().zip(gradients).zip(states)
        {
            let weights = weights.chunks_mut(CHUNK).zip(gradients.chunks(CHUNK));
            let moments = first.chunks_mut(CHUNK).zip(second.chunks_mut(CHUNK));
            let parts = weights.zip(moments).zip(ema.chunks_mut(CHUNK));
            tasks.extend(
                parts.map(|(((weights, gradients), (first, second)), ema)| Part {
                    weights,
                    gradients,
                    first,
                    second,
                    ema,
                }),
            );
        }
        // Several small parameters make a task.
        tasks
            .into_par_iter()
            .with_min_len(4)
            .map(|part| part.update(&constants))
            .reduce(|| true, |all, finite| all & finite)
    }
}

/// What is the same for all elements.
struct Constants {
    scale: f32,
    gain1: f32,
    gain2: f32,
    size: f32,
    root: f32,
    epsilon: f32,
    follow: f32,
}

/// Elements of one parameter and all that belongs to them.
struct Part<'a> {
    weights: &'a mut [f32],
    gradients: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    ema: &'a mut [f32],
}

impl Part<'_> {
    fn update(self, constants: &Constants) -> bool {
        let Self {
            weights,
            gradients,
            first,
            second,
            ema,
        } = self;
        update(constants, weights, gradients, first, second, ema)
    }
}

/// Whether all new weights are finite.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl",
    "x86_64+avx2",
    "aarch64+neon"
))]
fn update(
    constants: &Constants,
    weights: &mut [f32],
    gradients: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    ema: &mut [f32],
) -> bool {
    let &Constants {
        scale,
        gain1,
        gain2,
        size,
        root,
        epsilon,
        follow,
    } = constants;
    // No branch in the loop, so that it runs in SIMD registers.
    let mut wrong = 0;
    let states = first.iter_mut().zip(second).zip(ema);
    for ((w, &g), ((m, v), ema)) in weights.iter_mut().zip(gradients).zip(states) {
        let g = scale * g;
        *m += gain1 * (g - *m);
        *v += gain2 * (g * g - *v);
        *w -= size * *m / (v.sqrt() / root + epsilon);
        *ema += follow * (*w - *ema);
        wrong |= u32::from(!w.is_finite());
    }
    wrong == 0
}

/// The Euclidean norm of all gradients together.
pub(super) fn global_norm<'a, G: Deref<Target = [f32]> + 'a>(
    gradients: impl IntoIterator<Item = &'a G>,
) -> f64 {
    let gradients = gradients.into_iter();
    let chunks: Vec<&[f32]> = gradients.flat_map(|g| g.chunks(CHUNK)).collect();
    let squares: Vec<f64> = chunks
        .into_par_iter()
        .with_min_len(4)
        .map(|chunk| sum(chunk, |g| g * g))
        .collect();
    // Added in order.
    squares.iter().sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On f(w) = w^2 from w = 1 with rate 0.1; expected values from the equations in f64.
    #[test]
    fn follows_its_equations_also_with_a_negative_beta1() {
        let cases: [(f64, f64, [f64; 3]); 2] = [
            (
                0.9,
                0.999,
                [
                    0.900_000_000_5,
                    0.800_412_228_691_792_7,
                    0.701_586_272_946_030_2,
                ],
            ),
            (
                -0.5,
                0.9,
                [
                    0.900_000_000_5,
                    0.815_672_596_590_069_7,
                    0.724_652_832_252_157_8,
                ],
            ),
        ];
        for (beta1, beta2, expected) in cases {
            let config = AdamConfig {
                beta1,
                beta2,
                epsilon: 1e-8,
            };
            let mut weights = vec![vec![1.0_f32]];
            let mut adam = Adam::new(config, &weights).unwrap();
            for (step, expected) in expected.into_iter().enumerate() {
                let gradients = vec![vec![2.0 * weights[0][0]]];
                assert!(adam.update(&mut weights, &gradients, 1.0, 0.1, 0.0, step as u64));
                let found = f64::from(weights[0][0]);
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{beta1} {step}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn the_average_follows_its_recursion_and_warms_up() {
        assert_eq!(ema_decay(0.999, 0), 0.1);
        assert_eq!(ema_decay(0.999, 1_000_000), 0.999);
        let config = AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        let mut weights = vec![vec![1.0_f32; 3]];
        let mut adam = Adam::new(config, &weights).unwrap();
        let mut average = 1.0_f64;
        for step in 0..20 {
            let gradients = vec![vec![1.0; 3]];
            let decay = ema_decay(0.9, step);
            assert!(adam.update(&mut weights, &gradients, 1.0, 0.01, decay, step));
            average += (1.0 - decay) * (f64::from(weights[0][0]) - average);
            assert!((f64::from(adam.ema[0][2]) - average).abs() < 1e-6);
        }
    }

    #[test]
    fn the_learning_rate_warms_up_and_falls() {
        let rate = LearningRate {
            peak: 2.0,
            warmup: 4,
            schedule: Schedule::Cosine,
            steps: 104,
        };
        assert_eq!([rate.at(0), rate.at(3), rate.at(4)], [0.5, 2.0, 2.0]);
        assert!((rate.at(54) - 1.0).abs() < 1e-12);
        assert!(rate.at(104).abs() < 1e-12);
        let constant = LearningRate {
            schedule: Schedule::Constant,
            ..rate
        };
        assert_eq!(constant.at(1000), 2.0);
    }

    #[test]
    fn weights_that_are_not_finite_are_noticed_and_threads_change_nothing() {
        let config = AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        // More than a chunk, so that the work is shared.
        let sizes = [3, 2 * CHUNK + 5, 1, 1000, 7, 40];
        let gradients: Vec<Vec<f32>> = sizes
            .iter()
            .map(|&n| (0..n).map(|i| (i as f32 * 0.7).sin()).collect())
            .collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let mut weights: Vec<Vec<f32>> = sizes.iter().map(|&n| vec![0.1; n]).collect();
                let mut adam = Adam::new(config, &weights).unwrap();
                assert!(adam.update(&mut weights, &gradients, 0.3, 0.01, 0.9, 0));
                (weights, adam, global_norm(&gradients).to_bits())
            })
        };
        assert_eq!(run(1), run(3));
        for value in [f32::NAN, f32::INFINITY] {
            let mut gradients = gradients.clone();
            gradients[1][CHUNK + 1] = value;
            let mut weights: Vec<Vec<f32>> = sizes.iter().map(|&n| vec![0.1; n]).collect();
            let mut adam = Adam::new(config, &weights).unwrap();
            assert!(!adam.update(&mut weights, &gradients, 1.0, 0.01, 0.9, 0));
        }
    }

    #[test]
    fn constants_out_of_range_are_refused() {
        let weights = [vec![0.0]];
        for (beta1, beta2) in [(1.0, 0.9), (-1.0, 0.9), (0.0, 1.0), (f64::NAN, 0.9)] {
            let config = AdamConfig {
                beta1,
                beta2,
                epsilon: 1e-8,
            };
            assert!(
                Adam::new(config, &weights)
                    .unwrap_err()
                    .to_string()
                    .contains("betas")
            );
        }
    }
}
