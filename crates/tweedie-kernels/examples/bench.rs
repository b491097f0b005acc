//! Times every operation: the minimum over many runs, in ms and GFLOP/s. An argument chooses the
//! instruction set, counted from 0, the portable one, and a second one of `conv`, `norm`,
//! `attention` and `mlp`.

use std::hint::black_box;
use std::time::Instant;

use tweedie_kernels::mlp::{self, Layer};
use tweedie_kernels::{
    Activation, InstructionSet, attention, conv, group_norm, instance_norm, pool, upsample,
};

fn best(mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 5 || start.elapsed().as_secs_f64() < 0.4 {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    best
}

fn values(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7919 % 1009) as f32 - 504.0) / 504.0)
        .collect()
}

fn main() {
    let choice = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let isa = choice.map_or(InstructionSet::best(), |n: usize| {
        InstructionSet::available()[n]
    });
    println!("{isa:?}, {} threads", rayon::current_num_threads());
    let only = std::env::args().nth(2);
    let all: [(_, fn(InstructionSet)); 4] = [
        ("conv", convolutions),
        ("norm", normalisations),
        ("attention", attentions),
        ("mlp", perceptrons),
    ];
    for (name, run) in all {
        if only.as_deref().is_none_or(|only| only == name) {
            run(isa);
        }
    }
}

fn convolutions(isa: InstructionSet) {
    let cases = [
        (64, 28, 32, 32, 3, 1),
        (64, 14, 64, 64, 3, 1),
        (64, 14, 128, 64, 3, 1),
        (64, 7, 64, 64, 3, 1),
        (128, 8, 64, 64, 3, 1),
        (128, 4, 64, 64, 3, 1),
        (8, 32, 128, 128, 3, 1),
        (64, 28, 1, 32, 3, 1),
        (64, 28, 32, 1, 3, 1),
        (64, 28, 3, 32, 3, 1),
        (64, 28, 32, 3, 3, 1),
        (64, 28, 32, 32, 3, 2),
        (64, 14, 64, 64, 3, 2),
        (64, 14, 128, 64, 1, 1),
        (64, 14, 96, 48, 3, 1),
    ];
    for (images, side, inputs, outputs, kernel, stride) in cases {
        let shape = conv::Shape {
            images,
            size: [side; 2],
            inputs,
            outputs,
            kernel: [kernel; 2],
            stride,
            padding: [[kernel / 2; 2]; 2],
        };
        let [oh, ow] = shape.output_size().unwrap();
        let x = values(images * side * side * inputs);
        let w = values(outputs * inputs * kernel * kernel);
        let b = values(images * outputs);
        let dy = values(images * oh * ow * outputs);
        let flop = 2.0 * (images * oh * ow * outputs * inputs * kernel * kernel) as f64;
        let times = [
            best(|| drop(black_box(conv::forward(isa, &shape, &x, &w, &b)))),
            best(|| drop(black_box(conv::grad_input(isa, &shape, &w, &dy)))),
            best(|| drop(black_box(conv::grad_weight(isa, &shape, &x, &dy)))),
            best(|| drop(black_box(conv::grad_bias(isa, &shape, &dy)))),
        ];
        let name = format!("N {images} {side}x{side} {inputs}->{outputs} k{kernel} s{stride}");
        print!("{name:30}");
        for (name, time) in ["forward", "dx", "dw"].iter().zip(times) {
            print!(
                " {name} {:7.3} ms {:5.0} GF/s",
                time * 1e3,
                flop / time * 1e-9
            );
        }
        let total = times.iter().sum::<f64>();
        println!(
            " db {:.3} all {:.3} ms {:.0} GF/s",
            times[3] * 1e3,
            total * 1e3,
            3.0 * flop / total * 1e-9
        );
    }
}

fn normalisations(isa: InstructionSet) {
    for (images, side, channels) in [
        (64, 28, 32),
        (64, 14, 64),
        (64, 14, 128),
        (64, 7, 64),
        (128, 8, 64),
        (128, 4, 64),
        (8, 32, 128),
    ] {
        let shape = group_norm::Shape {
            images,
            pixels: side * side,
            channels,
            groups: 32,
            epsilon: 1e-5,
            then: Activation::Silu,
        };
        let x = values(images * side * side * channels);
        let (w, b) = (values(channels), values(channels));
        let forward = best(|| drop(black_box(group_norm::forward(isa, &shape, &x, &w, &b))));
        let backward = best(|| drop(black_box(group_norm::backward(isa, &shape, &x, &w, &b, &x))));
        let up = best(|| {
            drop(black_box(upsample::forward(
                [images, side, side, channels],
                &x,
            )))
        });
        println!(
            "norm + silu N {images} {side}x{side} {channels}: forward {:.3} ms, backward {:.3} ms; upsample {:.3} ms",
            forward * 1e3,
            backward * 1e3,
            up * 1e3
        );
        let shape = instance_norm::Shape {
            images,
            pixels: side * side,
            channels,
            epsilon: 1e-5,
            then: Activation::Elu,
        };
        let p = instance_norm::Parameters {
            gamma: &w,
            alpha: &w,
            beta: &b,
        };
        let forward = best(|| drop(black_box(instance_norm::forward(isa, &shape, &x, &p))));
        let backward = best(|| drop(black_box(instance_norm::backward(isa, &shape, &x, &p, &x))));
        println!(
            "instance norm++ + elu: forward {:.3} ms, backward {:.3} ms",
            forward * 1e3,
            backward * 1e3,
        );
        if side % 2 == 0 {
            let shape = [images, side, side, channels];
            let forward = best(|| drop(black_box(pool::forward(shape, &x))));
            println!("average pooling: forward {:.3} ms", forward * 1e3);
        }
    }
}

fn attentions(isa: InstructionSet) {
    for (images, tokens, channels, heads) in [
        (64, 16, 64, 1),
        (64, 49, 64, 1),
        (64, 64, 64, 8),
        (8, 256, 256, 1),
        (8, 256, 512, 1),
        (8, 256, 256, 32),
        (8, 1024, 64, 1),
        (8, 1024, 64, 8),
        (8, 1024, 128, 2),
        (8, 1024, 128, 16),
        (1, 4096, 64, 1),
    ] {
        let shape = attention::Shape {
            images,
            tokens,
            channels,
            heads,
        };
        let x = values(images * tokens * channels);
        let (q, k, v) = (&x, &x, &x);
        let forward = attention::forward(isa, &shape, q, k, v).unwrap();
        // Two products of T x T x d forward, five more for the gradients as they are written.
        let flop = 2.0 * (images * tokens * tokens * channels) as f64;
        let there = best(|| drop(black_box(attention::forward(isa, &shape, q, k, v))));
        let back = best(|| {
            drop(black_box(attention::backward(
                isa,
                &shape,
                q,
                k,
                v,
                forward.view(),
                &x,
            )))
        });
        println!(
            "attention [{images}, {tokens}, {channels}] {heads} heads: forward {:.3} ms {:.0} GF/s, backward {:.3} ms {:.0} GF/s",
            there * 1e3,
            2.0 * flop / there * 1e-9,
            back * 1e3,
            5.0 * flop / back * 1e-9
        );
    }
}

fn perceptrons(isa: InstructionSet) {
    for (rows, widths, activation) in [
        (16_384, &[2, 64, 1][..], Activation::Relu),
        (16_384, &[2, 64, 1], Activation::Silu),
        (256, &[3, 512, 512, 512, 2], Activation::LeakyRelu),
        (4096, &[64, 64], Activation::None),
        (4096, &[128, 128], Activation::None),
        (1024, &[256, 256], Activation::None),
        (64, &[32, 128], Activation::None),
    ] {
        let shape = mlp::Shape {
            rows,
            widths: widths.to_vec(),
            activation,
        };
        let parameters: Vec<[Vec<f32>; 2]> = widths
            .windows(2)
            .map(|w| [values(w[0] * w[1]), values(w[1])])
            .collect();
        let layers: Vec<Layer> = parameters
            .iter()
            .map(|[weight, bias]| Layer { weight, bias })
            .collect();
        let x = values(rows * widths[0]);
        let dy = values(rows * widths[widths.len() - 1]);
        let products: usize = widths.windows(2).map(|w| w[0] * w[1]).sum();
        let flop = 2.0 * (rows * products) as f64;
        let forward = best(|| drop(black_box(mlp::forward(isa, &shape, &x, &layers))));
        let [_, hidden] = mlp::forward_keeping(isa, &shape, &x, &layers).unwrap();
        let [without, with] = [false, true].map(|with_input| {
            best(|| {
                let grads = mlp::backward(isa, &shape, &x, &layers, &hidden, &dy, with_input);
                drop(black_box(grads));
            })
        });
        println!(
            "perceptron N {rows} {widths:?}: forward {:.3} ms {:.0} GF/s, backward {:.3} ms, with \
             the input's {:.3} ms {:.0} GF/s",
            forward * 1e3,
            flop / forward * 1e-9,
            without * 1e3,
            with * 1e3,
            2.0 * flop / with * 1e-9
        );
    }
}
