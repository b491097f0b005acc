//! The training sets, and the items held out from both.

use tweedie::Result;
use tweedie::data::{Dataset, Shape, ValueMap, digits};
use tweedie::random::{NoiseSource, Stream};

/// How many items are trained on.
pub const TRAINING: [usize; 2] = [100, 1500];
/// How many are trained on by neither network.
pub const HELD_OUT: usize = digits::COUNT - TRAINING[1];
/// Values of an item.
pub const DIM: usize = digits::SIDE * digits::SIDE;

/// Digits in a random order: the first are trained on, the last held out.
pub struct Sets {
    /// One set for each of [`TRAINING`]; the smaller is the beginning of the larger.
    pub training: Vec<Items>,
    /// The others.
    pub held_out: Items,
}

/// Digits, for training and for measuring.
pub struct Items {
    /// As training sees them: one channel, values 0 to 1.
    pub data: Dataset,
    /// The same values, row-major `[n, 64]`.
    pub values: Vec<f64>,
}

impl Items {
    /// The digits at these places of the built-in set.
    fn at(places: &[usize]) -> Result<Self> {
        let bytes = places.iter().flat_map(|&i| pixels(i)).copied();
        let map = ValueMap::between(digits::LEVELS, [0.0, 1.0])?;
        let shape = Shape::Image {
            channels: 1,
            height: digits::SIDE,
            width: digits::SIDE,
        };
        let data = Dataset::from_u8("digits", shape, bytes.collect(), map)?;
        let all: Vec<usize> = (0..places.len()).collect();
        let values = data.gather(&all).into_iter().map(f64::from).collect();
        Ok(Self { data, values })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.data.len()
    }
}

fn pixels(i: usize) -> &'static [u8] {
    &digits::pixels()[i * DIM..(i + 1) * DIM]
}

impl Sets {
    /// Splits the digits in an order that `seed` determines.
    pub fn new(seed: u64) -> Result<Self> {
        let order = NoiseSource::new(seed, Stream::Split).permutation(0, digits::COUNT);
        let (trained_on, held_out) = order.split_at(TRAINING[1]);
        let training = TRAINING.map(|n| Items::at(&trained_on[..n]));
        Ok(Self {
            training: training.into_iter().collect::<Result<_>>()?,
            held_out: Items::at(held_out)?,
        })
    }
}
