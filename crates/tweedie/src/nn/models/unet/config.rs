//! The U-Net's hyper-parameters, under the names of diffusers' `UNet2DModel`.

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};

/// A block of the down path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownBlockType {
    /// Residual blocks.
    DownBlock2D,
    /// Residual blocks, each followed by self-attention.
    AttnDownBlock2D,
}

/// A block of the up path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpBlockType {
    /// Residual blocks.
    UpBlock2D,
    /// Residual blocks, each followed by self-attention.
    AttnUpBlock2D,
}

/// A subset of the configuration of diffusers' `UNet2DModel`.
///
/// The numbers of channels and the image size come from the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UNetConfig {
    /// Channels at each resolution, finest first; each further one halves the image.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks per resolution of the down path (one more on the up path).
    pub layers_per_block: usize,
    /// One per resolution; empty means attention at the coarsest resolution only.
    pub down_block_types: Vec<DownBlockType>,
    /// One per resolution, coarsest first; empty means attention at the coarsest only.
    pub up_block_types: Vec<UpBlockType>,
    /// Whether the middle of the network has self-attention.
    pub add_attention: bool,
    /// Channels per attention head; 0 (diffusers' `null`) means a single head.
    #[serde(deserialize_with = "null_is_zero")]
    pub attention_head_dim: usize,
    /// Groups of every normalisation; must divide every number of channels.
    pub norm_num_groups: usize,
    /// Epsilon of every normalisation.
    pub norm_eps: f64,
    /// 1 pads all sides of a downsampling convolution, 0 right and bottom only.
    pub downsample_padding: usize,
    /// Offset in the frequencies of the noise embedding.
    pub freq_shift: f64,
    /// Cosines before sines in the noise embedding.
    pub flip_sin_to_cos: bool,
}

/// Bounds far beyond any network in use, so that a typing error is refused instead of exhausting
/// the memory.
const WIDEST: usize = 8192;
const MOST_RESOLUTIONS: usize = 8;
const MOST_LAYERS: usize = 64;

impl Default for UNetConfig {
    fn default() -> Self {
        Self {
            block_out_channels: vec![64, 128, 128],
            layers_per_block: 2,
            down_block_types: Vec::new(),
            up_block_types: Vec::new(),
            add_attention: true,
            attention_head_dim: 8,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            downsample_padding: 1,
            freq_shift: 0.0,
            flip_sin_to_cos: true,
        }
    }
}

fn null_is_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    Ok(Option::<usize>::deserialize(deserializer)?.unwrap_or(0))
}

impl UNetConfig {
    /// Whether block `i` of the down path (0 is the finest) has attention.
    pub fn attends_down(&self, i: usize) -> bool {
        match self.down_block_types.get(i) {
            Some(kind) => *kind == DownBlockType::AttnDownBlock2D,
            None => i + 1 == self.block_out_channels.len(),
        }
    }

    /// Whether block `i` of the up path (0 is the coarsest) has attention.
    pub fn attends_up(&self, i: usize) -> bool {
        match self.up_block_types.get(i) {
            Some(kind) => *kind == UpBlockType::AttnUpBlock2D,
            None => i == 0,
        }
    }

    /// Heads of an attention layer over `channels`.
    pub fn heads(&self, channels: usize) -> usize {
        channels
            .checked_div(self.attention_head_dim)
            .unwrap_or(1)
            .max(1)
    }

    /// Checks that the settings agree with each other and with images of `shape` `[C, H, W]`.
    ///
    /// # Errors
    /// Names the setting and what it accepts.
    pub fn validate(&self, shape: [usize; 3]) -> Result<()> {
        let widths = &self.block_out_channels;
        let refuse =
            |name: &str, value: String, reason: String| Err(Error::setting(name, value, reason));
        if widths.is_empty() || widths.contains(&0) {
            let reason = "needs at least one resolution, each with one channel or more";
            return refuse("block_out_channels", format!("{widths:?}"), reason.into());
        }
        if widths.len() > MOST_RESOLUTIONS || widths.iter().any(|&c| c > WIDEST) {
            let reason = format!("at most {MOST_RESOLUTIONS} resolutions of {WIDEST} channels");
            return refuse("block_out_channels", format!("{widths:?}"), reason);
        }
        if !widths[0].is_multiple_of(2) {
            let reason = "the first must be even: the noise embedding has sines and cosines";
            return refuse("block_out_channels", format!("{widths:?}"), reason.into());
        }
        if !(1..=MOST_LAYERS).contains(&self.layers_per_block) {
            let reason = format!("must be between 1 and {MOST_LAYERS}");
            return refuse(
                "layers_per_block",
                self.layers_per_block.to_string(),
                reason,
            );
        }
        let half = widths[0] as f64 / 2.0;
        if !(self.freq_shift.is_finite() && self.freq_shift < half) {
            let reason = format!("must be below half the first number of channels, {half}");
            return refuse("freq_shift", self.freq_shift.to_string(), reason);
        }
        let groups = self.norm_num_groups;
        if let Some(c) = widths.iter().find(|&&c| groups == 0 || c % groups != 0) {
            let reason = format!("must divide every number of channels, and {c} is one of them");
            return refuse("norm_num_groups", groups.to_string(), reason);
        }
        for (name, count) in [
            ("down_block_types", self.down_block_types.len()),
            ("up_block_types", self.up_block_types.len()),
        ] {
            if count != 0 && count != widths.len() {
                let reason = format!(
                    "needs one entry for each of the {} block_out_channels, or none",
                    widths.len()
                );
                return refuse(name, format!("{count} entries"), reason);
            }
        }
        for &c in widths {
            if c % self.heads(c) != 0
                || (self.attention_head_dim > 0 && c % self.attention_head_dim != 0)
            {
                let reason = format!("must divide the number of channels {c}, or be 0");
                return refuse(
                    "attention_head_dim",
                    self.attention_head_dim.to_string(),
                    reason,
                );
            }
        }
        if self.downsample_padding > 1 {
            let value = self.downsample_padding.to_string();
            return refuse("downsample_padding", value, "must be 0 or 1".into());
        }
        if !(self.norm_eps > 0.0 && self.norm_eps.is_finite()) {
            let reason = "must be positive, for example 1e-5";
            return refuse("norm_eps", self.norm_eps.to_string(), reason.into());
        }
        let factor = 1 << (widths.len() - 1);
        if shape[1..].iter().any(|side| !side.is_multiple_of(factor)) {
            let reason = format!(
                "{} resolutions need image sides divisible by {factor}, but the images are {}x{}; \
                 remove a resolution or resize the images",
                widths.len(),
                shape[1],
                shape[2]
            );
            return refuse("block_out_channels", format!("{widths:?}"), reason);
        }
        Ok(())
    }
}
