//! Where tensors live and which engine computes: the one module that knows burn's engines.
//!
//! The engine is chosen at run time by name. `flex` (CPU, pure Rust) is always there; the others
//! are cargo features of the same name that cost nothing when off.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A tensor engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The CPU, in pure Rust.
    #[default]
    Flex,
    /// Any GPU with a Vulkan driver (feature `vulkan`).
    Vulkan,
    /// Any GPU through WebGPU (feature `wgpu`).
    Wgpu,
    /// NVIDIA GPUs (feature `cuda`).
    Cuda,
}

impl Engine {
    /// The name as the user writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// The engine's default device, without gradients.
    ///
    /// # Errors
    /// When this binary was built without the engine's feature.
    pub fn device(self) -> Result<Device> {
        match self {
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(Device::vulkan(Default::default())),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(Default::default())),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(0)),
            #[allow(unreachable_patterns)] // All features on leaves nothing to refuse.
            missing => Err(Error::setting(
                "engine",
                missing.name(),
                format!(
                    "this program was built without it; rebuild with `--features {}` or use \
                     `flex`",
                    missing.name()
                ),
            )),
        }
    }
}
