//! Adam on the host: moments, weights and their moving average in one pass over plain arrays.

use std::ops::{Deref, DerefMut};

use rayon::prelude::*;

use super::{AdamConfig, UpdateNumbers};
use crate::nn::ByName;
use crate::train::sums::CHUNK;

/// Moments and moving average, one array for each parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    config: AdamConfig,
    /// First moments m.
    pub first: ByName<Vec<f32>>,
    /// Second moments v.
    pub second: ByName<Vec<f32>>,
    /// The moving average of the weights, where one is kept.
    pub ema: Option<ByName<Vec<f32>>>,
}

impl Adam {
    /// Zero moments; the average, if `average` asks for one, starts at the weights.
    ///
    /// The constants are those of [`AdamConfig::validate`].
    pub fn new<W: Deref<Target = [f32]>>(
        config: AdamConfig,
        weights: &ByName<W>,
        average: bool,
    ) -> Self {
        let each = |f: &dyn Fn(&[f32]) -> Vec<f32>| -> ByName<Vec<f32>> {
            let arrays = weights.iter().map(|(name, w)| (name.clone(), f(w)));
            arrays.collect()
        };
        Self {
            config,
            first: each(&|w| vec![0.0; w.len()]),
            second: each(&|w| vec![0.0; w.len()]),
            ema: average.then(|| each(&|w| w.to_vec())),
        }
    }

    /// One update of `weights` along `-gradients`.
    ///
    /// ```text
    /// m <- beta1 m + (1 - beta1) g            v <- beta2 v + (1 - beta2) g^2
    /// w <- w - rate m^/(sqrt(v^) + epsilon)   with m^ = m/(1 - beta1^t), v^ = v/(1 - beta2^t)
    /// ema <- decay ema + (1 - decay) w
    /// ```
    ///
    /// Returns the name of the first parameter whose new values are not all finite.
    ///
    /// # Panics
    /// When `weights` and `gradients` are not of the parameters this was made for.
    #[must_use]
    pub fn update<W, G>(
        &mut self,
        weights: &mut ByName<W>,
        gradients: &ByName<G>,
        numbers: &UpdateNumbers,
    ) -> Option<String>
    where
        W: DerefMut<Target = [f32]>,
        G: Deref<Target = [f32]>,
    {
        let constants = Constants::new(&self.config, numbers);
        let mut names = Vec::with_capacity(weights.len());
        let mut tasks = Vec::new();
        let mut averages = self.ema.as_mut().map(|ema| ema.values_mut());
        let moments = self.first.iter_mut().zip(self.second.values_mut());
        let given = weights.iter_mut().zip(gradients);
        for (((name, weights), (of, gradients)), ((own, first), second)) in given.zip(moments) {
            assert!(name == of && name == own, "{name}, {of} and {own}");
            let parameter = names.len();
            names.push(name);
            let average = averages.as_mut().and_then(Iterator::next);
            let mut average = average.map(|ema| ema.chunks_mut(CHUNK));
            let weights = weights.chunks_mut(CHUNK).zip(gradients.chunks(CHUNK));
            let moments = first.chunks_mut(CHUNK).zip(second.chunks_mut(CHUNK));
            for ((weights, gradients), (first, second)) in weights.zip(moments) {
                let part = Part {
                    weights,
                    gradients,
                    first,
                    second,
                    ema: average.as_mut().and_then(Iterator::next),
                };
                tasks.push((parameter, part));
            }
        }
        // Several small parameters make a task.
        let wrong = tasks
            .into_par_iter()
            .with_min_len(4)
            .filter_map(|(parameter, part)| (!part.update(&constants)).then_some(parameter))
            .min();
        wrong.map(|parameter| names[parameter].clone())
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

impl Constants {
    fn new(config: &AdamConfig, numbers: &UpdateNumbers) -> Self {
        let &AdamConfig {
            beta1,
            beta2,
            epsilon,
        } = config;
        let [correction1, correction2] = config.corrections(numbers.step);
        Self {
            scale: numbers.gradient_scale as f32,
            // 1 - 0.999 loses four digits in f32, so the differences are formed in f64.
            gain1: (1.0 - beta1) as f32,
            gain2: (1.0 - beta2) as f32,
            size: (numbers.rate / correction1) as f32,
            root: correction2.sqrt() as f32,
            epsilon: epsilon as f32,
            follow: (1.0 - numbers.decay) as f32,
        }
    }
}

/// Elements of one parameter and all that belongs to them.
struct Part<'a> {
    weights: &'a mut [f32],
    gradients: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    ema: Option<&'a mut [f32]>,
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
        match ema {
            Some(ema) => update(constants, weights, gradients, first, second, ema),
            None => update_alone(constants, weights, gradients, first, second),
        }
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
    // No branch in the loop, so that it runs in SIMD registers.
    let mut wrong = 0;
    let states = first.iter_mut().zip(second).zip(ema);
    for ((w, &g), ((m, v), ema)) in weights.iter_mut().zip(gradients).zip(states) {
        one(constants, w, g, m, v);
        *ema += constants.follow * (*w - *ema);
        wrong |= u32::from(!w.is_finite());
    }
    wrong == 0
}

/// The same without an average.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl",
    "x86_64+avx2",
    "aarch64+neon"
))]
fn update_alone(
    constants: &Constants,
    weights: &mut [f32],
    gradients: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) -> bool {
    let mut wrong = 0;
    let states = first.iter_mut().zip(second);
    for ((w, &g), (m, v)) in weights.iter_mut().zip(gradients).zip(states) {
        one(constants, w, g, m, v);
        wrong |= u32::from(!w.is_finite());
    }
    wrong == 0
}

/// One weight.
#[inline(always)]
fn one(constants: &Constants, w: &mut f32, g: f32, m: &mut f32, v: &mut f32) {
    let &Constants {
        scale,
        gain1,
        gain2,
        size,
        root,
        epsilon,
        follow: _,
    } = constants;
    let g = scale * g;
    *m += gain1 * (g - *m);
    *v += gain2 * (g * g - *v);
    *w -= size * *m / (v.sqrt() / root + epsilon);
}
