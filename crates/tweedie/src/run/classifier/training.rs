//! A classifier in training, as the loop of a session sees it.

use super::ClassifierConfig;
use super::split::Split;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::measure::Logits;
use crate::nn::classifier::ClassifierOutput;
use crate::nn::init::Init;
use crate::nn::{Conditioning, Network, params};
use crate::run::Line;
use crate::run::training_loop::Training;
use crate::train::{
    Alternation, Checkpoint, CrossEntropy, Group, LabelledExamples, Phase, StepReport,
};

/// What the one network is called.
const CLASSIFIER: &str = "classifier";

/// A classifier in training: an [`Alternation`] of one network, one update a round.
pub(super) struct ClassifierTraining<'a> {
    alternation: Alternation<'a>,
    data: &'a Dataset,
    held_out: Vec<usize>,
    parameters: usize,
    /// On the held-out part, when it was last looked at.
    accuracy: Option<f64>,
}

impl<'a> ClassifierTraining<'a> {
    /// Starts at step 0 with a resolved configuration.
    pub fn new(config: &ClassifierConfig, data: &'a Dataset) -> Result<Self> {
        let classes = data.labels().map_or(0, |labels| labels.classes().len());
        let device = config.train.engine.device();
        let device = device.map_err(|error| error.within("train"))?.autodiff();
        let init = Init::new(config.seed, &device);
        let network = config.classifier.network();
        let body = network.body(data.shape(), classes, ClassifierOutput::Logits, &init);
        let body = body.map_err(|error| error.within("classifier"))?;
        let network = Network::from_body(body, &device);
        let shapes = network.shapes();
        let parameters = shapes.values().map(|s| s.iter().product::<usize>()).sum();

        let split = Split::new(data, config.classifier.held_out, config.seed)?;
        let examples =
            LabelledExamples::new(data, split.train, config.augmentation(), config.seed)?;
        let smoothing = config.classifier.label_smoothing;
        let objective = CrossEntropy::new(CLASSIFIER, examples, smoothing)?;
        let train = &config.train;
        let phase = Phase::new(CLASSIFIER, train.batch, objective).accumulate(train.accumulate);
        let group = Group::new(network, train.group()).map_err(|e| e.within("train"))?;
        Ok(Self {
            alternation: Alternation::new(vec![(CLASSIFIER.to_owned(), group)], vec![phase])?,
            data,
            held_out: split.held_out,
            parameters,
            accuracy: None,
        })
    }

    /// The accuracy of the moving average on the held-out part.
    fn accuracy(&self) -> Result<f64> {
        let network = self.alternation.group(CLASSIFIER)?.average()?;
        let logits = logits(&network.without_gradients(), self.data, &self.held_out)?;
        Ok(logits.correct() as f64 / logits.len() as f64)
    }
}

/// The logits of some items, in plain numbers.
fn logits(network: &Network, data: &Dataset, items: &[usize]) -> Result<Logits> {
    let labels = data.labels().map_or(&[][..], |labels| labels.values());
    let mut all = Vec::with_capacity(items.len() * network.outputs());
    for items in items.chunks(network.preferred_batch()) {
        let x = network.input(data.gather(items))?;
        let out = network.forward(x, &Conditioning::default())?;
        all.extend(params::to_vec(out).into_iter().map(f64::from));
    }
    let labels = items.iter().map(|&item| labels[item]).collect();
    Logits::new(all, network.outputs(), labels)
}

impl Training for ClassifierTraining<'_> {
    fn step(&self) -> u64 {
        self.alternation.step()
    }

    fn parameters(&self) -> usize {
        self.parameters
    }

    fn update(&mut self) -> Result<StepReport> {
        let mut reports = self.alternation.update()?;
        let Some(report) = reports.pop() else {
            return Err(Error::setting("phases", 0, "must be 1 or more"));
        };
        let losses = report.losses.iter().map(|&loss| f64::from(loss));
        Ok(StepReport {
            step: report.update,
            loss: report.loss,
            // There is no noise: all are at one level.
            examples: losses.map(|loss| (1.0, loss)).collect(),
            gradient_norm: report.gradient_norm,
            rate: report.rate,
        })
    }

    fn checkpoint(&self) -> Checkpoint {
        self.alternation.checkpoint()
    }

    fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.alternation.restore(checkpoint)
    }

    fn complete(&mut self, line: &mut Line, at_checkpoint: bool) -> Result<()> {
        line.levels.clear();
        if at_checkpoint {
            self.accuracy = Some(self.accuracy()?);
            line.accuracy = self.accuracy;
        }
        Ok(())
    }

    fn note(&self) -> String {
        match self.accuracy {
            Some(accuracy) => format!(", {:.2} % right of those held out", 100.0 * accuracy),
            None => String::new(),
        }
    }
}
