//! Cross-entropy, the objective of a classifier.
//!
//! With logits z and the class y of K, p = softmax(z), and label smoothing epsilon (Szegedy et al.
//! 2016):
//!
//! ```text
//! q_k  = (1 - epsilon) [k = y] + epsilon / K
//! loss = - sum_k q_k ln p_k,          d loss / d z_k = p_k - q_k
//! ```

use burn::tensor::{Tensor, TensorData, activation};

use super::labelled::LabelledExamples;
use super::{Draw, ExampleLosses, Networks, Objective};
use crate::error::{Error, Result};
use crate::nn::Conditioning;

/// The cross-entropy of each row of logits `[N, K]` with its class, `[N]`, inside the graph.
///
/// # Errors
/// When there is not one class a row, a class is none of the K, or `smoothing` is not in [0, 1).
pub fn cross_entropy(logits: Tensor<2>, classes: &[u32], smoothing: f64) -> Result<Tensor<1>> {
    let [n, k] = logits.dims();
    if classes.len() != n {
        return Err(Error::Shape {
            what: "the classes".into(),
            expected: vec![n],
            found: vec![classes.len()],
        });
    }
    if let Some(class) = classes.iter().find(|&&class| class as usize >= k) {
        let reason = format!("the network tells {k} classes apart, from 0");
        return Err(Error::setting("class", class, reason));
    }
    check_smoothing(smoothing)?;
    let mut targets = vec![(smoothing / k as f64) as f32; n * k];
    for (row, &class) in targets.chunks_exact_mut(k).zip(classes) {
        row[class as usize] += (1.0 - smoothing) as f32;
    }
    let targets = Tensor::<2>::from_data(TensorData::new(targets, [n, k]), &logits.device());
    let logs = activation::log_softmax(logits, 1);
    Ok((targets * logs).sum_dim(1).reshape([n]).neg())
}

fn check_smoothing(smoothing: f64) -> Result<()> {
    match (0.0..1.0).contains(&smoothing) {
        true => Ok(()),
        false => {
            let reason = "must lie in [0, 1)";
            Err(Error::setting("label_smoothing", smoothing, reason))
        }
    }
}

/// The objective: the cross-entropy of a network's logits on labelled examples.
pub struct CrossEntropy<'a> {
    network: String,
    examples: LabelledExamples<'a>,
    smoothing: f64,
}

impl<'a> CrossEntropy<'a> {
    /// For the network called `network`, whose outputs are logits.
    ///
    /// # Errors
    /// When `smoothing` is not in [0, 1).
    pub fn new(network: &str, examples: LabelledExamples<'a>, smoothing: f64) -> Result<Self> {
        check_smoothing(smoothing)?;
        Ok(Self {
            network: network.to_owned(),
            examples,
            smoothing,
        })
    }
}

impl Objective for CrossEntropy<'_> {
    fn losses(&mut self, networks: &Networks<'_>, draw: &Draw) -> Result<ExampleLosses> {
        let network = networks.get(&self.network)?;
        let (x, classes) = self.examples.draw(draw);
        let logits = network.forward(network.input(x)?, &Conditioning::default())?;
        Ok(ExampleLosses {
            each: cross_entropy(logits, &classes, self.smoothing)?,
            sigmas: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::nn::params;

    /// Losses and gradients in f64, as the equations at the top say.
    #[test]
    fn losses_and_gradients_are_those_of_the_closed_form() {
        let device = Engine::Flex.device().unwrap().autodiff();
        let z = [0.3_f32, -1.2, 2.0, 5.0, 5.0, -40.0, 1e4, 0.0, -1e4];
        let classes = [2_u32, 0, 0];
        for epsilon in [0.0, 0.1] {
            let tensor = Tensor::<2>::from_data(TensorData::new(z.to_vec(), [3, 3]), &device);
            let logits = tensor.require_grad();
            let losses = cross_entropy(logits.clone(), &classes, epsilon).unwrap();
            let found = params::to_vec(losses.clone().inner());
            let mut gradients = losses.sum().backward();
            let gradient = params::to_vec(logits.grad_remove(&mut gradients).unwrap());
            for (row, (z, &class)) in z.chunks(3).zip(&classes).enumerate() {
                let z: Vec<f64> = z.iter().map(|&z| f64::from(z)).collect();
                let top = z.iter().copied().fold(f64::MIN, f64::max);
                let log_sum = z.iter().map(|z| (z - top).exp()).sum::<f64>().ln() + top;
                let q = |k: usize| {
                    let own = if k == class as usize {
                        1.0 - epsilon
                    } else {
                        0.0
                    };
                    own + epsilon / 3.0
                };
                let loss: f64 = (0..3).map(|k| q(k) * (log_sum - z[k])).sum();
                assert!((f64::from(found[row]) - loss).abs() <= 1e-6 * (1.0 + loss.abs()));
                for k in 0..3 {
                    let expected = (z[k] - log_sum).exp() - q(k);
                    let found = f64::from(gradient[3 * row + k]);
                    assert!((found - expected).abs() < 1e-6, "{found} and {expected}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let device = Engine::Flex.device().unwrap();
        let logits = || Tensor::<2>::zeros([2, 3], &device);
        assert!(cross_entropy(logits(), &[0], 0.0).is_err());
        assert!(cross_entropy(logits(), &[0, 3], 0.0).is_err());
        assert!(cross_entropy(logits(), &[0, 1], 1.0).is_err());
        assert!(cross_entropy(logits(), &[0, 1], f64::NAN).is_err());
    }
}
