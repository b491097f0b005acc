//! The `[network]` table: the parameterisation of the output, and the model that computes it.

use serde::{Deserialize, Serialize};

use super::body::Body;
use super::init::Init;
use super::models::unet::UNetConfig;
use super::models::{Inputs, MlpConfig, Model};
use super::{InputScaling, Parameterisation, Preconditioning};
use crate::data::Shape;
use crate::error::{Error, Result};
use crate::noise::TimestepTable;

/// Declares [`NetworkConfig`] with one optional table for each model.
macro_rules! network_config {
    ($($(#[$doc:meta])* $name:ident: $config:ty,)*) => {
        /// The `[network]` table of a configuration.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct NetworkConfig {
            /// The parameterisation of the output.
            pub preconditioning: Preconditioning,
            /// How the input is scaled; by default as is usual for `preconditioning`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub input_scaling: Option<InputScaling>,
            /// Standard deviation of the data, for `edm`; measured from the data when missing.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub sigma_data: Option<f64>,
            /// Whether the network is conditioned on sigma. Without, it is the papers'
            /// net(x)/sigma.
            pub conditional: bool,
            /// How a conditional U-Net sees sigma: as the timestep of this table with the same
            /// noise (DDPM and its descendants); without, as ln(sigma).
            #[serde(skip_serializing_if = "Option::is_none")]
            pub timesteps: Option<TimestepTable>,
            /// How many classes the network is conditioned on, numbered from 0; none when
            /// missing.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub classes: Option<usize>,
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")]
            pub $name: Option<$config>,)*
        }

        impl Default for NetworkConfig {
            fn default() -> Self {
                Self {
                    preconditioning: Preconditioning::default(),
                    input_scaling: None,
                    sigma_data: None,
                    conditional: true,
                    timesteps: None,
                    classes: None,
                    $($name: None,)*
                }
            }
        }

        /// The tables of all models.
        const TABLES: &[&str] = &[$(stringify!($name)),*];

        impl NetworkConfig {
            /// The models that have a table, with its name.
            fn models(&self) -> Vec<(&'static str, &dyn Model)> {
                let mut found: Vec<(&'static str, &dyn Model)> = Vec::new();
                $(if let Some(model) = &self.$name {
                    found.push((stringify!($name), model));
                })*
                found
            }
        }
    };
}

// The models: a new one needs its file and its line here.
network_config! {
    /// A U-Net, for images.
    unet: UNetConfig,
    /// An MLP, for vectors.
    mlp: MlpConfig,
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

    /// The same configuration with a model: where it names none, a U-Net for images
    /// and an MLP for other samples.
    #[must_use]
    pub fn with_model_for(mut self, shape: Shape) -> Self {
        if self.models().is_empty() {
            match shape.is_image() {
                true => self.unet = Some(UNetConfig::default()),
                false => self.mlp = Some(MlpConfig::default()),
            }
        }
        self
    }

    /// The network's body, for samples of `shape`.
    pub(super) fn body(&self, shape: Shape, init: &Init) -> Result<Box<dyn Body>> {
        if self.timesteps.is_some() && !self.conditional {
            let reason = "is for conditional networks; this one is not conditioned on sigma";
            return Err(Error::setting("timesteps", "given", reason));
        }
        if self.classes == Some(0) {
            let reason = "must be 1 or more; leave it out for a network without classes";
            return Err(Error::setting("classes", 0, reason));
        }
        let models = self.models();
        let [(table, model)] = models[..] else {
            let found: Vec<_> = models.iter().map(|(name, _)| *name).collect();
            let found = match found.is_empty() {
                true => "none".into(),
                false => found.join(" and "),
            };
            let reason = format!("needs exactly one of the tables {}", TABLES.join(", "));
            return Err(Error::setting("model", found, reason));
        };
        let inputs = Inputs {
            shape,
            conditional: self.conditional,
            timesteps: self.timesteps,
            classes: self.classes,
        };
        let body = model
            .body(&inputs, init)
            .map_err(|error| error.within(table))?;
        if let Some(classes) = self.classes
            && body.classes() != self.classes
        {
            let reason = format!("a network of the table {table} takes no classes; leave it out");
            return Err(Error::setting("classes", classes, reason));
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    #[test]
    fn classes_that_no_model_takes_are_refused() {
        let device = Engine::Flex.device().unwrap();
        for sides in [&[2][..], &[1, 8, 8]] {
            let shape = Shape::from_sides(sides).unwrap();
            let mut config = NetworkConfig::default().with_model_for(shape);
            assert!(config.body(shape, &Init::blank(&device)).is_ok());
            for (classes, word) in [(10, "takes no classes"), (0, "1 or more")] {
                config.classes = Some(classes);
                let refused = config.body(shape, &Init::blank(&device));
                let message = refused.unwrap_err().to_string();
                assert!(
                    message.contains("classes") && message.contains(word),
                    "{message}"
                );
            }
        }
    }
}
