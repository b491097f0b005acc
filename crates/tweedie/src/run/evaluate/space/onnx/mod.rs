//! Any network in an ONNX file as a feature space, run by tract.
//!
//! What a network is given changes its features, and tools differ in it silently (resizing most of
//! all), so every step is a setting, and the space's name states them.

#[cfg(any(feature = "onnx", test))]
mod images;
#[cfg(feature = "onnx")]
mod network;
#[cfg(all(test, feature = "onnx"))]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::Extractor;
use crate::data::{Dataset, Filter};
#[cfg(not(feature = "onnx"))]
use crate::error::Error;
use crate::error::Result;

/// A network in an ONNX file, and how it is given images.
///
/// As text, `FILE,KEY=VALUE,...`:
///
/// | key | what | default |
/// |---|---|---|
/// | `size` | height and width that images are resized to: `224`, `240x320` | the network's; where it takes any, the images' |
/// | `filter` | how: `pil-bilinear`, `pil-bicubic` (antialiased), `torch-bilinear`, `torch-bicubic` (not) | none: other sizes are refused |
/// | `range` | what 0 and 1 become, before mean and deviation: `0:255`, `-1:1` | `0:1` |
/// | `mean`, `std` | subtracted and divided by, one for all channels or one each: `0.485:0.456:0.406` | `0`, `1` |
/// | `order` | of the channels: `rgb`, `bgr` | `rgb` |
/// | `layout` | of the input: `nchw`, `nhwc` | `nchw` |
/// | `grey` | `repeat` gives a network of three channels a grey image three times | refused |
/// | `output` | the output or inner tensor by name | the only one |
/// | `pool` | `mean` averages an output `[N, D, H, W]` (of `nhwc`, `[N, H, W, D]`) over H and W | refused |
/// | `batch` | images at a time, for networks that leave it open | `1` |
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxSpace {
    /// The file.
    pub file: PathBuf,
    /// The height and the width of the input, where the network does not say.
    pub size: Option<[usize; 2]>,
    /// The filter that images of another size are resized by.
    pub filter: Option<Filter>,
    /// What the values 0 and 1 of an image become.
    pub range: [f64; 2],
    /// The mean that is subtracted: one, or one for each channel.
    pub mean: Vec<f64>,
    /// The standard deviation that is divided by: one, or one for each channel.
    pub std: Vec<f64>,
    /// Whether channels are in the order blue, green, red.
    pub bgr: bool,
    /// Whether the input is `[N, H, W, C]`, not `[N, C, H, W]`.
    pub channels_last: bool,
    /// Whether grey images are repeated for a network of three channels.
    pub repeat_grey: bool,
    /// The name of the output or inner tensor that is the features.
    pub output: Option<String>,
    /// Whether features `[N, D, H, W]` are averaged over height and width.
    pub pool: bool,
    /// Images at a time.
    pub batch: usize,
}

/// No setting is NaN.
impl Eq for OnnxSpace {}

/// More images at a time than anyone needs.
const LARGEST_BATCH: usize = 4096;
/// The largest side of an input.
const LARGEST_SIDE: usize = 8192;

impl OnnxSpace {
    /// The network of `file` under default settings.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            size: None,
            filter: None,
            range: [0.0, 1.0],
            mean: vec![0.0],
            std: vec![1.0],
            bgr: false,
            channels_last: false,
            repeat_grey: false,
            output: None,
            pool: false,
            batch: 1,
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "size" => self.size = Some(size(value)?),
            "filter" => self.filter = Some(value.parse()?),
            "range" => {
                self.range = match numbers(value)?[..] {
                    [low, high] if low < high => [low, high],
                    _ => return Err("write two numbers, like range=0:255".into()),
                }
            }
            "mean" => self.mean = numbers(value)?,
            "std" => {
                self.std = numbers(value)?;
                if self.std.iter().any(|&std| std <= 0.0) {
                    return Err("std must be positive".into());
                }
            }
            "order" => self.bgr = one_of(key, value, ["rgb", "bgr"])?,
            "layout" => self.channels_last = one_of(key, value, ["nchw", "nhwc"])?,
            "grey" => self.repeat_grey = one_of(key, value, ["refuse", "repeat"])?,
            "pool" => self.pool = one_of(key, value, ["none", "mean"])?,
            "output" if value.is_empty() => return Err("output needs a name".into()),
            "output" => self.output = Some(value.into()),
            "batch" => {
                self.batch = match value.parse() {
                    Ok(batch) if (1..=LARGEST_BATCH).contains(&batch) => batch,
                    _ => return Err(format!("batch must be between 1 and {LARGEST_BATCH}")),
                }
            }
            _ => {
                return Err(format!(
                    "there is no setting {key}; choose from size, filter, range, mean, std, \
                     order, layout, grey, output, pool, batch"
                ));
            }
        }
        Ok(())
    }

    /// What computes the features of images like those of `reference`.
    #[cfg(feature = "onnx")]
    pub(super) fn extractor(&self, reference: &Dataset) -> Result<Box<dyn Extractor>> {
        Ok(Box::new(network::Network::load(self, reference)?))
    }

    /// Refuses: there is nothing that could run a network.
    #[cfg(not(feature = "onnx"))]
    pub(super) fn extractor(&self, _: &Dataset) -> Result<Box<dyn Extractor>> {
        Err(Error::content(
            &self.file,
            "this program was built without ONNX; build it with `--features onnx`, for example \
             cargo install --path crates/tweedie-cli --features onnx",
        ))
    }
}

fn size(value: &str) -> Result<[usize; 2], String> {
    let (height, width) = value.split_once('x').unwrap_or((value, value));
    match [height, width].map(str::parse) {
        [Ok(height), Ok(width)]
            if [height, width]
                .iter()
                .all(|side| (1..=LARGEST_SIDE).contains(side)) =>
        {
            Ok([height, width])
        }
        _ => Err(format!(
            "write the size as 224 or 240x320, height first, up to {LARGEST_SIDE}"
        )),
    }
}

fn numbers(value: &str) -> Result<Vec<f64>, String> {
    let number = |text: &str| match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!(
            "'{text}' is not a number; separate numbers by colons, like 0.485:0.456:0.406"
        )),
    };
    value.split(':').map(number).collect()
}

/// Whether `value` is the second of two words.
fn one_of(key: &str, value: &str, words: [&str; 2]) -> Result<bool, String> {
    let place = words.iter().position(|word| *word == value);
    let [a, b] = words;
    place
        .map(|place| place == 1)
        .ok_or_else(|| format!("write {key}={a} or {key}={b}"))
}

impl FromStr for OnnxSpace {
    type Err = String;

    /// The file's name ends at the first comma that a setting follows.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_setting = |part: &str| {
            let key = part.split_once('=').map(|(key, _)| key);
            key.is_some_and(|key| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic()))
        };
        let commas = text.match_indices(',').map(|(place, _)| place);
        let end = commas
            .filter(|&place| is_setting(&text[place + 1..]))
            .min()
            .unwrap_or(text.len());
        let (file, settings) = text.split_at(end);
        if file.is_empty() {
            return Err("name the file, like onnx:model.onnx,size=224,filter=pil-bicubic".into());
        }
        let mut space = Self::new(file);
        for setting in settings.split(',').skip(1) {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(format!("write settings as KEY=VALUE, not '{setting}'"));
            };
            space.set(key, value)?;
        }
        Ok(space)
    }
}

impl fmt::Display for OnnxSpace {
    /// What it is parsed from, with the settings that matter for features whatever they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some([height, width]) = self.size {
            write!(f, ",size={height}x{width}")?;
        }
        if let Some(filter) = self.filter {
            write!(f, ",filter={filter}")?;
        }
        let [low, high] = self.range;
        write!(f, ",range={low}:{high}")?;
        write!(f, ",mean={},std={}", joined(&self.mean), joined(&self.std))?;
        let chosen = [
            (self.bgr, ",order=bgr"),
            (self.channels_last, ",layout=nhwc"),
            (self.repeat_grey, ",grey=repeat"),
            (self.pool, ",pool=mean"),
        ];
        for (_, words) in chosen.iter().filter(|(chosen, _)| *chosen) {
            f.write_str(words)?;
        }
        if let Some(output) = &self.output {
            write!(f, ",output={output}")?;
        }
        match self.batch {
            1 => Ok(()),
            batch => write!(f, ",batch={batch}"),
        }
    }
}

fn joined(numbers: &[f64]) -> String {
    let words: Vec<String> = numbers.iter().map(f64::to_string).collect();
    words.join(":")
}

#[cfg(test)]
mod text_tests {
    use super::*;

    #[test]
    fn text_gives_every_setting_and_comes_back() {
        let text = "a,b.onnx,size=240x320,filter=pil-bicubic,range=0:255,mean=1:2.5:3,std=4,\
                    order=bgr,layout=nhwc,grey=repeat,pool=mean,output=/x/y:0,batch=8";
        let space: OnnxSpace = text.parse().unwrap();
        let wanted = OnnxSpace {
            size: Some([240, 320]),
            filter: Some(Filter::PilBicubic),
            range: [0.0, 255.0],
            mean: vec![1.0, 2.5, 3.0],
            std: vec![4.0],
            bgr: true,
            channels_last: true,
            repeat_grey: true,
            output: Some("/x/y:0".into()),
            pool: true,
            batch: 8,
            ..OnnxSpace::new("a,b.onnx")
        };
        assert_eq!(space, wanted);
        assert_eq!(space.to_string().parse(), Ok(wanted));
        let plain: OnnxSpace = "model.onnx".parse().unwrap();
        assert_eq!(plain, OnnxSpace::new("model.onnx"));
        assert_eq!(plain.to_string(), "model.onnx,range=0:1,mean=0,std=1");
        assert_eq!(plain.to_string().parse(), Ok(plain));
    }

    #[test]
    fn wrong_text_is_refused_with_the_way_out() {
        for (text, word) in [
            ("", "name the file"),
            ("a.onnx,size=0", "224 or 240x320"),
            ("a.onnx,size=10x", "224 or 240x320"),
            ("a.onnx,filter=lanczos", "pil-bilinear, pil-bicubic"),
            ("a.onnx,mean=0.4;0.5", "separate numbers by colons"),
            ("a.onnx,mean=nan", "not a number"),
            ("a.onnx,std=0", "positive"),
            ("a.onnx,range=1:0", "range=0:255"),
            ("a.onnx,order=gbr", "order=rgb or order=bgr"),
            ("a.onnx,batch=0", "between 1 and"),
            ("a.onnx,colour=1", "there is no setting colour"),
            ("a.onnx,size=3,4", "KEY=VALUE, not '4'"),
            ("a.onnx,output=", "needs a name"),
        ] {
            let error = text.parse::<OnnxSpace>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
