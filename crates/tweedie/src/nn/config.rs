//! The `[network]` table: the parameterisation of the output, and the model that computes it.

use serde::{Deserialize, Serialize};

use super::body::Body;
use super::init::Init;
use super::models::unet::UNetConfig;
use super::models::{Inputs, MlpConfig, Model, ResidualMlpConfig};
use super::{InputScaling, Parameterisation, Preconditioning};
use crate::data::{MOST_CLASSES, Shape};
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

        /// The tables of the models that can be conditioned on classes.
        fn tables_with_classes() -> Vec<&'static str> {
            let mut found = Vec::new();
            $(if <$config as Model>::takes_classes() {
                found.push(stringify!($name));
            })*
            found
        }

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
    /// A residual MLP, for vectors, with or without classes.
    residual_mlp: ResidualMlpConfig,
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
    /// and an MLP for other samples, a residual one where there are classes.
    #[must_use]
    pub fn with_model_for(mut self, shape: Shape) -> Self {
        if self.models().is_empty() {
            match (shape.is_image(), self.classes) {
                (true, _) => self.unet = Some(UNetConfig::default()),
                (false, None) => self.mlp = Some(MlpConfig::default()),
                (false, Some(_)) => self.residual_mlp = Some(ResidualMlpConfig::default()),
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
        if let Some(classes) = self.classes
            && !(1..=MOST_CLASSES).contains(&classes)
        {
            let reason = format!(
                "must be between 1 and {MOST_CLASSES}; leave it out for a network without classes"
            );
            return Err(Error::setting("classes", classes, reason));
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
            let reason = format!(
                "a network of the table {table} takes no classes; use {}, or leave it out",
                tables_with_classes().join(" or ")
            );
            return Err(Error::setting("classes", classes, reason));
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    /// The configuration of one table, and a shape of data that fits it.
    fn of_table(table: &str) -> (NetworkConfig, Shape) {
        let config: NetworkConfig = toml::from_str(&format!("[{table}]")).unwrap();
        let sides: &[usize] = match table {
            "unet" => &[1, 8, 8],
            _ => &[2],
        };
        (config, Shape::from_sides(sides).unwrap())
    }

    #[test]
    fn classes_are_taken_or_refused_with_the_tables_that_take_them() {
        let init = Init::blank(&Engine::Flex.device().unwrap());
        for &table in TABLES {
            let (mut config, shape) = of_table(table);
            assert_eq!(config.body(shape, &init).unwrap().classes(), None);
            config.classes = Some(3);
            let body = config.body(shape, &init);
            if tables_with_classes().contains(&table) {
                assert_eq!(body.unwrap().classes(), Some(3), "{table}");
            } else {
                let message = body.unwrap_err().to_string();
                let takers = tables_with_classes().join(" or ");
                let reason = format!(
                    "classes = 3: a network of the table {table} takes no classes; use {takers}"
                );
                assert!(message.starts_with(&reason), "{message}");
            }
            for classes in [0, MOST_CLASSES + 1] {
                config.classes = Some(classes);
                let message = config.body(shape, &init).unwrap_err().to_string();
                let start = format!("classes = {classes}: must be between 1 and {MOST_CLASSES}");
                assert!(message.starts_with(&start), "{message}");
            }
        }
    }
}
