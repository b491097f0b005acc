//! A network chosen by configuration, and the one way in which everything else calls it.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::init::Init;
use super::params::{self, Gradient, Parameter};
use super::unet::{UNet2d, UNetConfig};
use super::{InputScaling, Mlp, MlpConfig, Parameterisation, Precision, Preconditioning, ops};
use crate::data::Shape;
use crate::error::{Error, Result};
use crate::noise::{TimestepTable, Timesteps};

/// The `[network]` table of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// What the output means.
    pub preconditioning: Preconditioning,
    /// How the input is scaled; as usual for `preconditioning` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_scaling: Option<InputScaling>,
    /// Standard deviation of the data, for `edm`; measured from the data when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_data: Option<f64>,
    /// Whether the network is told sigma. Without, it is the papers' net(x)/sigma.
    pub conditional: bool,
    /// What a conditional U-Net is told of sigma: the timestep of this table with the same noise
    /// (DDPM and its descendants); without, ln(sigma).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timesteps: Option<TimestepTable>,
    /// A U-Net, for images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unet: Option<UNetConfig>,
    /// An MLP, for vectors and signals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlp: Option<MlpConfig>,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            preconditioning: Preconditioning::default(),
            input_scaling: None,
            sigma_data: None,
            conditional: true,
            timesteps: None,
            unet: None,
            mlp: None,
        }
    }
}

impl NetworkConfig {
    /// How the output becomes the denoised sample.
    pub fn parameterisation(&self) -> Parameterisation {
        let usual = Parameterisation::new(self.preconditioning, self.sigma_data.unwrap_or(1.0));
        Parameterisation {
            input: self.input_scaling.unwrap_or(usual.input),
            ..usual
        }
    }
}

#[derive(Clone, Debug)]
enum Body {
    UNet(Box<UNet2d>, [usize; 3]),
    Mlp(Mlp),
}

/// A network on a device.
#[derive(Clone, Debug)]
pub struct Network {
    body: Body,
    dim: usize,
    /// Where sigma is told as a timestep.
    timesteps: Option<Arc<Timesteps>>,
    device: Device,
}

impl Network {
    /// A network with initial weights for samples of `shape`: a U-Net for images, an MLP for any.
    ///
    /// # Errors
    /// When the configuration names both kinds or neither, or does not fit the shape.
    pub fn new(config: &NetworkConfig, shape: Shape, seed: u64, device: &Device) -> Result<Self> {
        Self::build(config, shape, Init::new(seed, device), device)
    }

    /// The same with weights of zero, to be replaced by [`Network::with_values`].
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn blank(config: &NetworkConfig, shape: Shape, device: &Device) -> Result<Self> {
        Self::build(config, shape, Init::blank(device), device)
    }

    fn build(
        config: &NetworkConfig,
        shape: Shape,
        mut init: Init,
        device: &Device,
    ) -> Result<Self> {
        let dim = shape.values();
        let body = match (&config.unet, &config.mlp) {
            (Some(unet), None) => {
                let Shape::Image {
                    channels,
                    height,
                    width,
                } = shape
                else {
                    return Err(Error::Shape {
                        what: "the data (a U-Net takes images; use network.mlp for the rest)"
                            .into(),
                        expected: vec![1, 32, 32],
                        found: shape.to_vec(),
                    });
                };
                let shape = [channels, height, width];
                let unet = UNet2d::new(unet, shape, config.conditional, &mut init)?;
                Body::UNet(Box::new(unet), shape)
            }
            (None, Some(mlp)) => Body::Mlp(Mlp::new(mlp, dim, config.conditional, &mut init)?),
            (found, _) => {
                let value = if found.is_some() {
                    "unet and mlp"
                } else {
                    "none"
                };
                let reason = "needs exactly one of the tables [network.unet] and [network.mlp]";
                return Err(Error::setting("network", value, reason));
            }
        };
        let timesteps = match (&body, config.timesteps) {
            (Body::Mlp(_), Some(table)) => {
                let reason = "is for U-Nets; an MLP sees sigma itself";
                let value = format!("{:?}", table.schedule);
                return Err(Error::setting("network.timesteps", value, reason));
            }
            (_, Some(_)) if !config.conditional => {
                let reason = "is for conditional networks; this one is told nothing of sigma";
                return Err(Error::setting("network.timesteps", "given", reason));
            }
            (_, table) => table.map(|table| table.table().map(Arc::new)).transpose()?,
        };
        Ok(Self {
            body,
            dim,
            timesteps,
            device: device.clone(),
        })
    }

    /// Values in one sample.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many samples to give to one call on the CPU: enough to fill it, few enough to fit.
    pub fn preferred_batch(&self) -> usize {
        match self.body {
            Body::UNet(..) => 16,
            Body::Mlp(_) => 1024,
        }
    }

    /// The raw output F for `x` `[N, dim]`, row-major and already scaled by c_in, and one sigma
    /// a sample; `[N, dim]`.
    pub fn forward(&self, x: Vec<f32>, sigma: &[f64]) -> Tensor<2> {
        // On a thread of the pool: otherwise every operation would wake one up to begin, which
        // takes as long as a small image.
        rayon::scope(|_| self.call(x, sigma))
    }

    fn call(&self, x: Vec<f32>, sigma: &[f64]) -> Tensor<2> {
        match &self.body {
            Body::UNet(unet, shape) => self.call_unet(unet, self.images(x, *shape), sigma),
            Body::Mlp(mlp) => mlp.forward(mlp.input(x, sigma, &self.device)),
        }
    }

    /// `x` as `[N, C, H, W]`.
    fn images(&self, x: Vec<f32>, [c, h, w]: [usize; 3]) -> Tensor<4> {
        let n = x.len() / self.dim.max(1);
        Tensor::from_data(TensorData::new(x, [n, c, h, w]), &self.device)
    }

    fn call_unet(&self, unet: &UNet2d, x: Tensor<4>, sigma: &[f64]) -> Tensor<2> {
        let time = |&sigma: &f64| match &self.timesteps {
            Some(table) => table.timestep(sigma),
            // EDM's c_noise = ln(sigma)/4, on the scale of the 1000 steps that the frequencies of
            // a positional embedding are made for.
            None => 250.0 * sigma.ln(),
        };
        let time: Vec<f64> = sigma.iter().map(time).collect();
        unet.forward(x, &time).reshape([sigma.len(), self.dim])
    }

    /// The raw output F as [`Network::forward`] has it, and v^T dF/dx, both `[N, dim]`; `v` as
    /// long as `x`. The network must come from [`Network::with_input_gradients`].
    pub(super) fn forward_vjp(
        &self,
        x: Vec<f32>,
        sigma: &[f64],
        v: Vec<f32>,
    ) -> (Vec<f32>, Vec<f32>) {
        rayon::scope(|_| {
            let n = sigma.len();
            let v = Tensor::<2>::from_data(TensorData::new(v, [n, self.dim]), &self.device);
            match &self.body {
                Body::UNet(unet, shape) => {
                    let x = self.images(x, *shape).require_grad();
                    let out = self.call_unet(unet, x.clone(), sigma);
                    let gradient = back(out.clone(), v, &x);
                    (params::to_vec(out.inner()), gradient)
                }
                Body::Mlp(mlp) => {
                    let x = mlp.input(x, sigma, &self.device).require_grad();
                    let out = mlp.forward(x.clone());
                    let [_, width] = x.dims();
                    let gradient = back(out.clone(), v, &x);
                    // Without the column that tells sigma.
                    let rows = gradient.chunks_exact(width.max(1));
                    let gradient = rows.flat_map(|row| &row[..self.dim]).copied().collect();
                    (params::to_vec(out.inner()), gradient)
                }
            }
        })
    }

    /// Names, shapes and values of all parameters.
    pub fn parameters(&self) -> Vec<Parameter> {
        match &self.body {
            Body::UNet(unet, _) => params::collect(unet.as_ref()),
            Body::Mlp(mlp) => params::collect(mlp),
        }
    }

    /// Gradients in the order of [`Network::parameters`].
    pub fn gradients(&self, gradients: &mut Gradients) -> Vec<Gradient> {
        match &self.body {
            Body::UNet(unet, _) => params::gradients(unet.as_ref(), gradients),
            Body::Mlp(mlp) => params::gradients(mlp, gradients),
        }
    }

    /// The same network with other values, in the order of [`Network::parameters`].
    ///
    /// # Errors
    /// When a length does not fit.
    pub fn with_values(&self, values: &[Vec<f32>]) -> Result<Self> {
        let body = match &self.body {
            Body::UNet(unet, shape) => {
                let unet = params::assign(unet.as_ref().clone(), values)?;
                Body::UNet(Box::new(unet), *shape)
            }
            Body::Mlp(mlp) => Body::Mlp(params::assign(mlp.clone(), values)?),
        };
        Ok(Self {
            body,
            dim: self.dim,
            timesteps: self.timesteps.clone(),
            device: self.device.clone(),
        })
    }

    /// The same network with images stored in `precision` between its layers: for sampling, on
    /// the CPU.
    ///
    /// # Errors
    /// When the network is not a U-Net or not on the CPU, and `precision` is not `f32`.
    pub fn in_precision(mut self, precision: Precision) -> Result<Self> {
        if precision == Precision::F32 {
            return Ok(self);
        }
        let refuse = |reason| Err(Error::setting("sample.precision", "bf16", reason));
        if !ops::is_on_cpu(&self.device) {
            return refuse("is for the CPU; set train.engine = \"flex\", or sample in f32");
        }
        match &mut self.body {
            Body::UNet(unet, _) => unet.set_precision(precision),
            Body::Mlp(_) => return refuse("is for U-Nets; sample an MLP in f32"),
        }
        Ok(self)
    }

    /// A copy that knows its derivative by the input, and no other.
    ///
    /// # Errors
    /// When images are stored in another precision than f32: gradients are not.
    pub(super) fn with_input_gradients(&self) -> Result<Self> {
        let device = self.device.clone().inner().autodiff();
        let body = match &self.body {
            Body::UNet(unet, _) if unet.precision() != Precision::F32 => {
                let reason = "derivatives are for f32; set sample.precision = \"f32\"";
                return Err(Error::setting("sample.precision", "bf16", reason));
            }
            Body::UNet(unet, shape) => {
                let unet = unet.as_ref().clone().fork(&device).no_grad();
                Body::UNet(Box::new(unet), *shape)
            }
            Body::Mlp(mlp) => Body::Mlp(mlp.clone().fork(&device).no_grad()),
        };
        Ok(Self {
            body,
            dim: self.dim,
            timesteps: self.timesteps.clone(),
            device,
        })
    }

    /// A copy without gradients, for sampling.
    pub fn without_gradients(&self) -> Self {
        let body = match &self.body {
            Body::UNet(unet, shape) => Body::UNet(Box::new(unet.valid()), *shape),
            Body::Mlp(mlp) => Body::Mlp(mlp.valid()),
        };
        Self {
            body,
            dim: self.dim,
            timesteps: self.timesteps.clone(),
            device: self.device.clone().inner(),
        }
    }
}

/// The gradient of sum(v out) by x, in order.
fn back<const D: usize>(out: Tensor<2>, v: Tensor<2>, x: &Tensor<D>) -> Vec<f32> {
    let mut gradients = (out * v).sum().backward();
    match x.grad_remove(&mut gradients) {
        Some(gradient) => params::to_vec(gradient),
        // An output that does not depend on the input.
        None => vec![0.0; x.shape().num_elements()],
    }
}
