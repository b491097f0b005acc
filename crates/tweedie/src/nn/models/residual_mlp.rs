//! A residual MLP for vectors, conditioned on sigma and on classes.
//!
//! ```text
//! e   = phi(embedding of sigma + embedding of the class)
//! h_0 = W_in x + b_in
//! h_k = h_(k-1) + W_2 phi(W_1 [h_(k-1), e] + b_1) + b_2        k = 1 .. blocks
//! F   = W_out phi(h_blocks) + b_out
//! ```
//!
//! This is DDPM's residual block (Ho et al. 2020) with linear layers for convolutions: as
//! W_1 [h, e] = W_h h + W_e e, the embedding is added to every hidden layer.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Inputs, Model};
use crate::error::{Error, Result};
use crate::nn::init::Init;
use crate::nn::layers::{Activation, ClassEmbedding, Linear, TimeEmbedding, positional_embedding};
use crate::nn::{Body, Conditioning, Forward, ops};

/// The hyper-parameters of a [`ResidualMlp`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResidualMlpConfig {
    /// Width of every hidden layer.
    pub width: usize,
    /// Residual blocks, of two layers each.
    pub blocks: usize,
    /// Width of the embedding of noise level and class.
    pub embedding: usize,
    /// phi.
    pub activation: Activation,
}

impl Default for ResidualMlpConfig {
    fn default() -> Self {
        Self {
            width: 128,
            blocks: 3,
            embedding: 64,
            activation: Activation::Silu,
        }
    }
}

/// Bounds far beyond any network in use, so that a slip of the pen is an error and not an
/// exhausted machine.
const WIDEST: usize = 1 << 15;
const DEEPEST: usize = 256;

impl ResidualMlpConfig {
    fn validate(&self) -> Result<()> {
        for (name, value, most) in [
            ("width", self.width, WIDEST),
            ("blocks", self.blocks, DEEPEST),
            ("embedding", self.embedding, WIDEST),
        ] {
            if !(1..=most).contains(&value) {
                let reason = format!("must be between 1 and {most}");
                return Err(Error::setting(name, value, reason));
            }
        }
        if !self.embedding.is_multiple_of(2) {
            let reason = "must be even: the noise embedding has sines and cosines";
            return Err(Error::setting("embedding", self.embedding, reason));
        }
        Ok(())
    }
}

impl Model for ResidualMlpConfig {
    fn body(&self, inputs: &Inputs, init: &Init) -> Result<Box<dyn Body>> {
        Ok(Box::new(ResidualMlp::new(self, inputs, init)?))
    }

    fn takes_classes() -> bool {
        true
    }
}

/// The network. See [`ResidualMlpConfig`] for its hyper-parameters.
#[derive(Module, Debug)]
pub struct ResidualMlp {
    linear_in: Linear,
    noise_embedding: Option<TimeEmbedding>,
    class_embedding: Option<ClassEmbedding>,
    blocks: Vec<Block>,
    linear_out: Linear,
    #[module(skip)]
    config: ResidualMlpConfig,
    #[module(skip)]
    dim: usize,
}

/// `h + linear_2(phi(linear_1([h, e])))`.
#[derive(Module, Debug)]
struct Block {
    linear_1: Linear,
    linear_2: Linear,
}

impl ResidualMlp {
    /// The network for `inputs`; every sample is taken as a vector.
    ///
    /// # Errors
    /// When a setting is out of its range, or sigma is to be seen as a timestep.
    pub fn new(config: &ResidualMlpConfig, inputs: &Inputs, init: &Init) -> Result<Self> {
        if let Some(table) = inputs.timesteps {
            let reason = "is for U-Nets; an MLP sees sigma itself";
            let value = format!("{:?}", table.schedule);
            return Err(Error::setting("timesteps", value, reason));
        }
        config.validate()?;
        let (dim, width, embedding) = (inputs.shape.values(), config.width, config.embedding);
        let classes = inputs.classes;
        let noise_embedding = inputs
            .conditional
            .then(|| TimeEmbedding::new(embedding, embedding, &init.at("noise_embedding")));
        let class_embedding =
            classes.map(|n| ClassEmbedding::new(n, embedding, &init.at("class_embedding")));
        let seen = match inputs.conditional || classes.is_some() {
            true => width + embedding,
            false => width,
        };
        let block = |k| {
            let init = init.at("blocks").at(k);
            Block {
                linear_1: Linear::new(seen, width, &init.at("linear_1")),
                linear_2: Linear::new(width, width, &init.at("linear_2")),
            }
        };
        Ok(Self {
            linear_in: Linear::new(dim, width, &init.at("linear_in")),
            noise_embedding,
            class_embedding,
            blocks: (0..config.blocks).map(block).collect(),
            linear_out: Linear::new(width, dim, &init.at("linear_out")),
            config: config.clone(),
            dim,
        })
    }

    /// e, `[N, embedding]`; none where the network is conditioned on nothing.
    fn embed(&self, x: &Tensor<2>, conditioning: &Conditioning<'_>) -> Option<Tensor<2>> {
        let of_noise = self.noise_embedding.as_ref().map(|embed| {
            // As the U-Net's: EDM's c_noise = ln(sigma)/4 on the scale of 1000 steps.
            let sigmas = conditioning.sigmas.unwrap_or_default();
            let time: Vec<f64> = sigmas.iter().map(|sigma| 250.0 * sigma.ln()).collect();
            let width = self.config.embedding;
            let features = positional_embedding(&time, width, 0.0, true);
            let features = TensorData::new(features, [time.len(), width]);
            embed.forward(Tensor::from_data(features, &x.device()))
        });
        let embed = self.class_embedding.as_ref();
        let of_class = embed.map(|embed| embed.forward(x.dims()[0], conditioning.classes));
        let embedding = match (of_noise, of_class) {
            (Some(noise), Some(class)) => noise + class,
            (noise, class) => noise.or(class)?,
        };
        Some(ops::activate(embedding, self.config.activation))
    }
}

impl Forward for ResidualMlp {
    fn inputs(&self) -> usize {
        self.dim
    }

    fn outputs(&self) -> usize {
        self.dim
    }

    fn needs_sigmas(&self) -> bool {
        self.noise_embedding.is_some()
    }

    fn classes(&self) -> Option<usize> {
        self.class_embedding.as_ref().map(ClassEmbedding::classes)
    }

    fn forward(&self, x: Tensor<2>, conditioning: &Conditioning<'_>) -> Tensor<2> {
        let phi = self.config.activation;
        let embedding = self.embed(&x, conditioning);
        let mut h = self.linear_in.forward(x);
        for block in &self.blocks {
            let seen = match &embedding {
                Some(embedding) => ops::append(h.clone(), embedding.clone()),
                None => h.clone(),
            };
            let layers = [&block.linear_1, &block.linear_2];
            let layers = layers.map(|l| (l.weight.val(), l.bias.val()));
            h = h + ops::mlp(seen, layers.into(), phi);
        }
        self.linear_out.forward(ops::activate(h, phi))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::data::Shape;
    use crate::nn::{ByName, Network, params};
    use crate::noise::{Schedule, TimestepTable};
    use crate::random::{NoiseSource, Stream};

    const CONFIG: ResidualMlpConfig = ResidualMlpConfig {
        width: 6,
        blocks: 2,
        embedding: 4,
        activation: Activation::Silu,
    };

    fn inputs(conditional: bool, classes: Option<usize>) -> Inputs {
        Inputs {
            shape: Shape::Vector { dim: 2 },
            conditional,
            timesteps: None,
            classes,
        }
    }

    /// A network of such inputs, on a device with gradients.
    fn network(inputs: &Inputs) -> Network {
        let device = Device::flex().autodiff();
        let body = CONFIG.body(inputs, &Init::new(3, &device)).unwrap();
        Network::from_body(body, &device)
    }

    /// The values of a network, in double precision.
    type Values = ByName<Vec<f64>>;

    /// `name`'s W x + b.
    fn linear(values: &Values, name: &str, x: &[f64]) -> Vec<f64> {
        let weight = values[&format!("{name}.weight")].chunks_exact(x.len());
        let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        let bias = &values[&format!("{name}.bias")];
        weight.zip(bias).map(|(row, b)| dot(row) + b).collect()
    }

    fn silu(x: Vec<f64>) -> Vec<f64> {
        x.into_iter().map(|x| x / (1.0 + (-x).exp())).collect()
    }

    /// F of a row, as the equations say.
    fn expected(values: &Values, x: &[f64], sigma: f64, class: Option<u32>) -> Vec<f64> {
        let mut e = vec![0.0; CONFIG.embedding];
        let conditional = values.contains_key("noise_embedding.linear_1.bias");
        if conditional {
            let features = positional_embedding(&[250.0 * sigma.ln()], e.len(), 0.0, true);
            let features: Vec<f64> = features.into_iter().map(f64::from).collect();
            let hidden = silu(linear(values, "noise_embedding.linear_1", &features));
            e = linear(values, "noise_embedding.linear_2", &hidden);
        }
        let table = values.get("class_embedding.weight");
        if let Some(table) = table {
            let rows: Vec<_> = table.chunks_exact(e.len()).collect();
            let row = rows[class.map_or(rows.len() - 1, |class| class as usize)];
            e.iter_mut().zip(row).for_each(|(e, row)| *e += row);
        }
        let e = match conditional || table.is_some() {
            true => silu(e),
            false => vec![],
        };
        let mut h = linear(values, "linear_in", x);
        for k in 0..CONFIG.blocks {
            let seen = [&h[..], &e].concat();
            let hidden = silu(linear(values, &format!("blocks.{k}.linear_1"), &seen));
            let step = linear(values, &format!("blocks.{k}.linear_2"), &hidden);
            h.iter_mut().zip(step).for_each(|(h, step)| *h += step);
        }
        linear(values, "linear_out", &silu(h))
    }

    #[test]
    fn outputs_and_gradients_are_those_of_the_equations() {
        let (sigmas, classes) = ([0.05, 1.0, 7.0, 0.4], [Some(1), None, Some(0), Some(1)]);
        let mut x = vec![0.0_f32; 8];
        NoiseSource::new(0, Stream::Evaluation).fill_normal(0, 0, &mut x);
        for inputs in [
            inputs(true, Some(3)),
            inputs(false, Some(3)),
            inputs(true, None),
            inputs(false, None),
        ] {
            let network = network(&inputs);
            let conditioning = Conditioning {
                sigmas: inputs.conditional.then_some(&sigmas),
                classes: inputs.classes.is_some().then_some(&classes),
            };
            let y = network.input(x.clone()).unwrap();
            let y = network.forward(y, &conditioning).unwrap();
            let doubles = |values: &[f32]| values.iter().copied().map(f64::from).collect();
            let parameters = network.parameters().into_iter();
            let values: Values = parameters
                .map(|(name, array)| (name, doubles(&array.values)))
                .collect();
            let all = |values: &Values| -> Vec<f64> {
                let x: Vec<f64> = doubles(&x);
                let rows = x.chunks_exact(2).zip(sigmas.iter().zip(classes));
                let each = rows.map(|(x, (&sigma, class))| expected(values, x, sigma, class));
                each.flatten().collect()
            };
            for (found, expected) in params::to_vec(y.clone()).into_iter().zip(all(&values)) {
                let error = (f64::from(found) - expected).abs();
                assert!(error < 1e-6, "{found} {expected}");
            }

            // Of the sum of squares, by differences of the equations.
            let loss = |values: &Values| all(values).iter().map(|y| y * y).sum::<f64>();
            let gradients = network.gradients(&mut y.powi_scalar(2).sum().backward());
            assert_eq!(gradients.len(), values.len());
            const STEP: f64 = 1e-5;
            for (name, gradient) in &gradients {
                for (place, &found) in gradient.iter().enumerate() {
                    let at = |step| {
                        let mut moved = values.clone();
                        moved.get_mut(name).unwrap()[place] += step;
                        loss(&moved)
                    };
                    let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
                    let error = (f64::from(found) - expected).abs();
                    let allowed = 1e-5 * (1.0 + expected.abs());
                    assert!(error < allowed, "{name}[{place}]: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn what_it_cannot_be_is_refused() {
        let init = Init::blank(&Device::flex());
        let refused = |config: ResidualMlpConfig, inputs: &Inputs| {
            let error = ResidualMlp::new(&config, inputs, &init).unwrap_err();
            error.to_string()
        };
        let of = |width, blocks, embedding| {
            let config = ResidualMlpConfig {
                width,
                blocks,
                embedding,
                ..CONFIG
            };
            refused(config, &inputs(true, None))
        };
        assert!(of(0, 2, 4).starts_with("width = 0: must be between 1"));
        assert!(of(6, 0, 4).starts_with("blocks = 0: must be between 1"));
        assert!(of(6, 300, 4).starts_with("blocks = 300: must be between 1"));
        assert!(of(6, 2, 5).starts_with("embedding = 5: must be even"));
        let schedule = Schedule::Ddpm;
        let timesteps = Some(TimestepTable {
            schedule,
            count: 1000,
        });
        let on_timesteps = Inputs {
            timesteps,
            ..inputs(true, None)
        };
        assert!(refused(CONFIG, &on_timesteps).starts_with("timesteps = Ddpm: is for U-Nets"));
    }
}
