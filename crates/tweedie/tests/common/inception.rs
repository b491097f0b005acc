//! The parameters of FID's Inception and a few images, made from the formula of
//! `scripts/golden-inception.py`. Shared with the program's tests.

// Each test program uses some of it.
#![allow(dead_code)]

/// SplitMix64's numbers from `seed + 1` on.
fn hashed(seed: u64) -> impl Iterator<Item = u64> {
    (1_u64..).map(move |i| {
        let z = seed.wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// FNV-1a of a name.
fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// The script's `value`: a parameter by its name.
fn parameter(name: &str, shape: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    let fan_in: usize = shape[1..].iter().product();
    let unit = hashed(seed_of(name)).take(count);
    let unit = unit.map(|h| (h >> 40) as f64 / f64::from(1 << 23) - 1.0);
    let of: Box<dyn Fn(f64) -> f64> = if name.ends_with("running_var") {
        Box::new(|u| 1.0 + 0.5 * u)
    } else if name.ends_with("bn.weight") {
        Box::new(|u| 1.0 + 0.25 * u)
    } else if name.ends_with("bn.bias") || name.ends_with("running_mean") {
        Box::new(|u| 0.125 * u)
    } else {
        let bound = (6.0 / fan_in as f64).sqrt();
        Box::new(move |u| bound * u)
    };
    unit.map(|u| of(u) as f32).collect()
}

/// The script's `image`, planar as this library has it, in [0, 1].
pub fn image(number: usize, size: [usize; 3]) -> Vec<f32> {
    let bytes = image_bytes(number, size);
    let [height, width, channels] = size;
    let mut planar = vec![0.0; bytes.len()];
    for (i, byte) in bytes.into_iter().enumerate() {
        let (pixel, c) = (i / channels, i % channels);
        planar[c * height * width + pixel] = f32::from(byte) / 255.0;
    }
    planar
}

/// The same as bytes `[H, W, C]`.
pub fn image_bytes(number: usize, [height, width, channels]: [usize; 3]) -> Vec<u8> {
    let noise = hashed(seed_of("image").wrapping_add(number as u64));
    let byte = |(i, noise): (usize, u64)| {
        let (y, x, c) = (i / channels / width, i / channels % width, i % channels);
        let gradient = ((number + 1) * (3 * x / 2 + 2 * y) + 70 * c) % 382;
        gradient.abs_diff(191) as u8 + (noise >> 58) as u8
    };
    (0..height * width * channels)
        .zip(noise)
        .map(byte)
        .collect()
}

/// Name, channels out and in, kernel of every convolution.
fn layers() -> Vec<(String, [usize; 4])> {
    let mut all = Vec::new();
    let mut add = |block: &str, name: &str, shape: [usize; 4]| {
        let dot = if block.is_empty() { "" } else { "." };
        all.push((format!("{block}{dot}{name}"), shape));
    };
    add("", "Conv2d_1a_3x3", [32, 3, 3, 3]);
    add("", "Conv2d_2a_3x3", [32, 32, 3, 3]);
    add("", "Conv2d_2b_3x3", [64, 32, 3, 3]);
    add("", "Conv2d_3b_1x1", [80, 64, 1, 1]);
    add("", "Conv2d_4a_3x3", [192, 80, 3, 3]);
    for (block, inputs, pooled) in [("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)] {
        let block = &format!("Mixed_{block}");
        add(block, "branch1x1", [64, inputs, 1, 1]);
        add(block, "branch5x5_1", [48, inputs, 1, 1]);
        add(block, "branch5x5_2", [64, 48, 5, 5]);
        add(block, "branch3x3dbl_1", [64, inputs, 1, 1]);
        add(block, "branch3x3dbl_2", [96, 64, 3, 3]);
        add(block, "branch3x3dbl_3", [96, 96, 3, 3]);
        add(block, "branch_pool", [pooled, inputs, 1, 1]);
    }
    add("Mixed_6a", "branch3x3", [384, 288, 3, 3]);
    add("Mixed_6a", "branch3x3dbl_1", [64, 288, 1, 1]);
    add("Mixed_6a", "branch3x3dbl_2", [96, 64, 3, 3]);
    add("Mixed_6a", "branch3x3dbl_3", [96, 96, 3, 3]);
    for (block, inner) in [("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)] {
        let block = &format!("Mixed_{block}");
        add(block, "branch1x1", [192, 768, 1, 1]);
        add(block, "branch7x7_1", [inner, 768, 1, 1]);
        add(block, "branch7x7_2", [inner, inner, 1, 7]);
        add(block, "branch7x7_3", [192, inner, 7, 1]);
        add(block, "branch7x7dbl_1", [inner, 768, 1, 1]);
        add(block, "branch7x7dbl_2", [inner, inner, 7, 1]);
        add(block, "branch7x7dbl_3", [inner, inner, 1, 7]);
        add(block, "branch7x7dbl_4", [inner, inner, 7, 1]);
        add(block, "branch7x7dbl_5", [192, inner, 1, 7]);
        add(block, "branch_pool", [192, 768, 1, 1]);
    }
    add("Mixed_7a", "branch3x3_1", [192, 768, 1, 1]);
    add("Mixed_7a", "branch3x3_2", [320, 192, 3, 3]);
    add("Mixed_7a", "branch7x7x3_1", [192, 768, 1, 1]);
    add("Mixed_7a", "branch7x7x3_2", [192, 192, 1, 7]);
    add("Mixed_7a", "branch7x7x3_3", [192, 192, 7, 1]);
    add("Mixed_7a", "branch7x7x3_4", [192, 192, 3, 3]);
    for (block, inputs) in [("7b", 1280), ("7c", 2048)] {
        let block = &format!("Mixed_{block}");
        add(block, "branch1x1", [320, inputs, 1, 1]);
        add(block, "branch3x3_1", [384, inputs, 1, 1]);
        add(block, "branch3x3_2a", [384, 384, 1, 3]);
        add(block, "branch3x3_2b", [384, 384, 3, 1]);
        add(block, "branch3x3dbl_1", [448, inputs, 1, 1]);
        add(block, "branch3x3dbl_2", [384, 448, 3, 3]);
        add(block, "branch3x3dbl_3a", [384, 384, 1, 3]);
        add(block, "branch3x3dbl_3b", [384, 384, 3, 1]);
        add(block, "branch_pool", [192, inputs, 1, 1]);
    }
    all
}

/// Names, shapes and values.
pub type Parameters = Vec<(String, Vec<usize>, Vec<f32>)>;

/// All that the network needs.
pub fn parameters() -> Parameters {
    let mut all = Vec::new();
    for (layer, shape) in layers() {
        let mut add = |part: &str, shape: &[usize]| {
            let name = format!("{layer}.{part}");
            let values = parameter(&name, shape);
            all.push((name, shape.to_vec(), values));
        };
        add("conv.weight", &shape);
        for part in ["weight", "bias", "running_mean", "running_var"] {
            add(&format!("bn.{part}"), &shape[..1]);
        }
    }
    all
}

/// A safetensors file of `parameters`.
pub fn safetensors_file(parameters: &Parameters) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape, values) in parameters {
        let start = end;
        end += 4 * values.len();
        let about = serde_json::json!({
            "dtype": "F32", "shape": shape, "data_offsets": [start, end],
        });
        header.insert(name.clone(), about);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = Vec::with_capacity(8 + header.len() + end);
    file.extend((header.len() as u64).to_le_bytes());
    file.extend(header);
    for (.., values) in parameters {
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    file
}
