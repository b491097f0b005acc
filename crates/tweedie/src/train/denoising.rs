//! Training a network to denoise: noised examples of a data set, and losses on the network's
//! prediction.

use burn::tensor::{Tensor, TensorData};

use super::batch::{Batch, Examples};
use super::{Draw, ExampleLosses, Networks, Objective};
use crate::error::{Error, Result};
use crate::nn::{Conditioning, Network, Parameterisation, ops};

/// A loss on the denoised examples.
pub trait Term: Send {
    /// One loss per example, `[N]`, inside the graph.
    ///
    /// # Errors
    /// When a network does not fit.
    fn losses(&self, prediction: &Prediction, networks: &Networks<'_>) -> Result<Tensor<1>>;

    /// Whether the term uses x, x~ or H; otherwise they need not be kept.
    fn needs_samples(&self) -> bool {
        true
    }
}

/// The term of denoising score matching, 1/2 w(sigma) ||H - x||^2.
#[derive(Clone, Copy, Debug, Default)]
pub struct HalfSquares;

impl Term for HalfSquares {
    fn losses(&self, prediction: &Prediction, _: &Networks<'_>) -> Result<Tensor<1>> {
        Ok(prediction.half_squares())
    }

    fn needs_samples(&self) -> bool {
        false
    }
}

/// The objective of a network that denoises: a weighted sum of terms on the same examples.
pub struct Denoising<'a> {
    network: String,
    examples: Examples<'a>,
    terms: Vec<(f64, Box<dyn Term + 'a>)>,
}

impl<'a> Denoising<'a> {
    /// Denoising score matching by the network called `network`.
    pub fn score_matching(network: &str, examples: Examples<'a>) -> Self {
        Self {
            network: network.to_owned(),
            examples,
            terms: vec![(1.0, Box::new(HalfSquares))],
        }
    }

    /// The same plus `weight` times `term`.
    #[must_use]
    pub fn plus(mut self, weight: f64, term: impl Term + 'a) -> Self {
        self.terms.push((weight, Box::new(term)));
        self
    }
}

impl Objective for Denoising<'_> {
    fn losses(&mut self, networks: &Networks<'_>, draw: &Draw) -> Result<ExampleLosses> {
        let keep = self.terms.iter().any(|(_, term)| term.needs_samples());
        let batch = self.examples.draw(draw, keep);
        let parameterisation = self.examples.parameterisation();
        let (prediction, sigmas) =
            Prediction::new(&networks.get(&self.network)?, batch, parameterisation)?;
        let mut sum: Option<Tensor<1>> = None;
        for (weight, term) in &self.terms {
            let losses = term.losses(&prediction, networks)?;
            let losses = if *weight == 1.0 {
                losses
            } else {
                losses * *weight
            };
            sum = Some(match sum {
                Some(sum) => sum + losses,
                None => losses,
            });
        }
        let each = sum.ok_or_else(|| Error::setting("terms", 0, "must be 1 or more"))?;
        Ok(ExampleLosses { each, sigmas })
    }
}

/// A network's prediction on noised examples, x~ = x + sigma z: tensors `[N, D]` on its device,
/// those that depend on it inside the graph.
pub struct Prediction {
    raw: Tensor<2>,
    gain: Tensor<1>,
    offset: Tensor<2>,
    samples: Option<Samples>,
}

/// The examples themselves.
struct Samples {
    clean: Tensor<2>,
    noisy: Tensor<2>,
    c_skip: Tensor<2>,
    c_out: Tensor<2>,
    sigmas: Vec<f64>,
    classes: Option<Vec<Option<u32>>>,
}

impl Prediction {
    /// Calls `network` on `batch`; also gives the examples' noise levels.
    fn new(
        network: &Network,
        batch: Batch,
        parameterisation: Parameterisation,
    ) -> Result<(Self, Vec<f64>)> {
        let (n, device) = (batch.sigmas.len(), network.device());
        if network.outputs() != network.inputs() {
            return Err(Error::Shape {
                what: "the output of a network that denoises".into(),
                expected: vec![network.inputs()],
                found: vec![network.outputs()],
            });
        }
        let column = |of: &dyn Fn(f64) -> f64| {
            let values: Vec<f32> = batch.sigmas.iter().map(|&sigma| of(sigma) as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, [n, 1]), device)
        };
        let input = network.input(batch.input)?;
        let samples = match batch.clean {
            Some(clean) => Some(Samples {
                clean: network.input(clean)?,
                noisy: input.clone() / column(&|sigma| parameterisation.coefficients(sigma).c_in),
                c_skip: column(&|sigma| parameterisation.coefficients(sigma).c_skip),
                c_out: column(&|sigma| parameterisation.coefficients(sigma).c_out),
                sigmas: batch.sigmas.clone(),
                classes: batch.classes.clone(),
            }),
            None => None,
        };
        let conditioning = Conditioning {
            sigmas: Some(&batch.sigmas),
            classes: batch.classes.as_deref(),
        };
        let raw = network.forward(input, &conditioning)?;
        let device = raw.device();
        let gain = Tensor::<1>::from_data(TensorData::new(batch.gain, [n]), &device);
        let offset = TensorData::new(batch.offset, [n, network.inputs()]);
        let offset = Tensor::<2>::from_data(offset, &device);
        let prediction = Self {
            raw,
            gain,
            offset,
            samples,
        };
        Ok((prediction, batch.sigmas))
    }

    /// The network's output F.
    pub fn raw(&self) -> Tensor<2> {
        self.raw.clone()
    }

    /// 1/2 w(sigma) ||H - x||^2, `[N]`, in one operation on F.
    pub fn half_squares(&self) -> Tensor<1> {
        ops::half_squares(self.raw.clone(), self.gain.clone(), self.offset.clone())
    }

    /// H = c_skip x~ + c_out F.
    ///
    /// # Panics
    /// As [`Prediction::clean`].
    pub fn denoised(&self) -> Tensor<2> {
        let samples = self.samples();
        samples.noisy.clone() * samples.c_skip.clone() + self.raw() * samples.c_out.clone()
    }

    /// The examples x.
    ///
    /// # Panics
    /// In a term that says that it needs no samples.
    pub fn clean(&self) -> Tensor<2> {
        self.samples().clean.clone()
    }

    /// The noised examples x~.
    ///
    /// # Panics
    /// As [`Prediction::clean`].
    pub fn noisy(&self) -> Tensor<2> {
        self.samples().noisy.clone()
    }

    /// What the examples are conditioned on: their noise levels, and their classes if the network
    /// has classes.
    ///
    /// # Panics
    /// As [`Prediction::clean`].
    pub fn conditioning(&self) -> Conditioning<'_> {
        let samples = self.samples();
        Conditioning {
            sigmas: Some(&samples.sigmas),
            classes: samples.classes.as_deref(),
        }
    }

    fn samples(&self) -> &Samples {
        let samples = self.samples.as_ref();
        samples.expect("a term that looks at samples says so in needs_samples")
    }
}
