//! Measures over repetitions: no bias, and intervals of 95 % that hold the truth in 93 to 97 % of
//! them, where it is known in closed form. Gaussians and mixtures, seeds fixed.

use rayon::prelude::*;
use tweedie::measure::{
    Comparison, Estimate, Features, Halves, Kernel, Moments, Reference, Verdict, compare_frechet,
    compare_kernel_distance, energy_distance, frechet, frechet_distance, kernel_distance,
};
use tweedie::random::{NoiseSource, Stream};
use tweedie::score::{Batch, Denoiser, Distribution, GaussianMixture};

/// The share of intervals that hold the truth is then known to 0.007; of 400 it would be to 0.011,
/// and one of sixteen might leave its bounds by chance.
const REPETITIONS: u64 = 1000;

/// `n` rows of `mixture`; equal seeds have equal noise.
fn draw(mixture: &GaussianMixture, n: u64, seed: u64) -> Vec<f64> {
    let numbers: Vec<u64> = (0..n).collect();
    let mut x = vec![0.0; numbers.len() * mixture.dim()];
    let source = NoiseSource::new(seed, Stream::Data);
    let batch = Batch::new(&numbers);
    mixture.draw(&source, batch, 0.0, &mut x).unwrap();
    x
}

fn rows(values: &[f64]) -> Features<'_> {
    Features::new("the rows", values, 2).unwrap()
}

fn gaussian(mean: [f64; 2], variance: f64) -> GaussianMixture {
    GaussianMixture::gaussian(mean.to_vec(), variance).unwrap()
}

/// Three components in the plane, the first of weight `weight`, all moved by `shift`.
fn mixture(weight: f64, shift: f64) -> GaussianMixture {
    let means = [-1.0, 0.0, 1.0, 0.25, 0.0, 1.5];
    let rest = (1.0 - weight) / 2.0;
    let means = means.iter().map(|m| m + shift).collect();
    GaussianMixture::new(&[weight, rest, rest], means, &[0.15, 0.05, 0.25]).unwrap()
}

fn moments(mixture: &GaussianMixture) -> Moments {
    let (mean, covariance) = mixture.moments();
    Moments::new(mean, covariance).unwrap()
}

/// Samples, worse samples of the same noise, and the data.
fn cases() -> [[GaussianMixture; 3]; 2] {
    [
        [
            gaussian([0.8, 0.2], 0.5),
            gaussian([1.0, 0.3], 0.6),
            gaussian([0.0, 0.0], 0.3),
        ],
        [mixture(0.6, -0.3), mixture(0.7, -0.4), mixture(0.3, 0.0)],
    ]
}

/// E k(x, y) of the radial kernel of the middle width `width`: Gaussians folded with Gaussians.
fn radial(a: &GaussianMixture, b: &GaussianMixture, width: f64) -> f64 {
    let mut sum = 0.0;
    let widths: Vec<f64> = [0.25, 0.5, 1.0, 2.0, 4.0]
        .map(|f| (f * width).powi(2))
        .into();
    for (k, w_a) in a.weights().iter().enumerate() {
        for (l, w_b) in b.weights().iter().enumerate() {
            let variance = a.covariances()[4 * k] + b.covariances()[4 * l];
            let (m_a, m_b) = (&a.means()[2 * k..], &b.means()[2 * l..]);
            let square = (m_a[0] - m_b[0]).powi(2) + (m_a[1] - m_b[1]).powi(2);
            for w in &widths {
                let total = w + variance;
                sum += w_a * w_b * w / total * (-0.5 * square / total).exp() / 5.0;
            }
        }
    }
    sum
}

/// The discrepancy of the polynomial kernel: (x . y/2 + 1)^3 is the inner product of all monomials
/// x_1^i x_2^j of degree at most 3, times their multinomial coefficients.
fn polynomial(a: &GaussianMixture, b: &GaussianMixture) -> f64 {
    let power = |mean: f64, variance: f64, i: i32| match i {
        0 => 1.0,
        1 => mean,
        2 => mean * mean + variance,
        _ => mean.powi(3) + 3.0 * mean * variance,
    };
    let moment = |of: &GaussianMixture, i: i32, j: i32| -> f64 {
        let weights = of.weights();
        let terms = weights.iter().enumerate().map(|(k, w)| {
            let variance = of.covariances()[4 * k];
            let mean = &of.means()[2 * k..];
            w * power(mean[0], variance, i) * power(mean[1], variance, j)
        });
        terms.sum()
    };
    let factorial = |n: i32| f64::from((1..=n).product::<i32>());
    let mut sum = 0.0;
    for i in 0..=3 {
        for j in 0..=3 - i {
            let coefficient = 6.0 / (factorial(i) * factorial(j) * factorial(3 - i - j));
            let difference = moment(a, i, j) - moment(b, i, j);
            sum += coefficient * 0.5f64.powi(i + j) * difference.powi(2);
        }
    }
    sum
}

/// What `kernel`'s distance estimates.
fn discrepancy(a: &GaussianMixture, b: &GaussianMixture, kernel: Kernel) -> f64 {
    match kernel {
        Kernel::Rbf { width } => {
            radial(a, a, width) + radial(b, b, width) - 2.0 * radial(a, b, width)
        }
        _ => polynomial(a, b),
    }
}

/// Repeats `measure`, which is given a seed.
fn repeat(measure: impl Fn(u64) -> Estimate + Send + Sync) -> Vec<Estimate> {
    (0..REPETITIONS).into_par_iter().map(measure).collect()
}

/// That intervals hold `truth` in 93 to 97 %, and that the mean is it to 4 standard errors.
#[track_caller]
fn assert_covers(name: &str, found: &[Estimate], truth: f64) {
    let held = |estimate: &&Estimate| {
        let [low, high] = estimate.interval();
        low <= truth && truth <= high
    };
    let share = found.iter().filter(held).count() as f64 / found.len() as f64;
    let values: Vec<f64> = found.iter().map(|estimate| estimate.value).collect();
    let mean = Estimate::mean(&values);
    let printed = found.iter().map(|e| e.standard_error).sum::<f64>() / found.len() as f64;
    let spread = mean.standard_error * (found.len() as f64).sqrt();
    println!(
        "{name}: {share:.4} of intervals hold {truth:.5}; mean {:.5}, errors {printed:.5}, spread {spread:.5}",
        mean.value
    );
    assert!((0.93..=0.97).contains(&share), "{name}: {share}");
    assert!(
        (mean.value - truth).abs() < 4.0 * mean.standard_error,
        "{name}: {mean:?} {truth}"
    );
}

#[test]
fn intervals_of_the_frechet_distance_hold_it() {
    for [samples, _, data] in cases() {
        let exact = moments(&data);
        let truth = frechet_distance(&moments(&samples), &exact).unwrap();
        let fixed = repeat(|seed| {
            let x = draw(&samples, 1000, seed);
            let reference = Reference::Exact(&exact);
            frechet(rows(&x), reference, Halves::default())
                .unwrap()
                .corrected
        });
        assert_covers("against exact moments", &fixed, truth);
        let sampled = repeat(|seed| {
            let (x, y) = (draw(&samples, 1000, seed), draw(&data, 1500, 9000 + seed));
            let reference = Reference::Sampled(rows(&y));
            frechet(rows(&x), reference, Halves::default())
                .unwrap()
                .corrected
        });
        assert_covers("against a sample", &sampled, truth);
    }
}

#[test]
fn intervals_of_paired_frechet_differences_hold_them() {
    for [a, b, data] in cases() {
        let exact = moments(&data);
        let to_data = |set| frechet_distance(&moments(set), &exact).unwrap();
        let truth = to_data(&a) - to_data(&b);
        let compare = |seed: u64, sampled: bool| {
            let [x, y] = [&a, &b].map(|set| draw(set, 1000, seed));
            let data = draw(&data, 1500, 9000 + seed);
            let reference = match sampled {
                true => Reference::Sampled(rows(&data)),
                false => Reference::Exact(&exact),
            };
            compare_frechet(rows(&x), rows(&y), reference, Halves::default()).unwrap()
        };
        let differences = repeat(|seed| compare(seed, false).difference);
        assert_covers("difference, exact moments", &differences, truth);
        let differences = repeat(|seed| compare(seed, true).difference);
        assert_covers("difference, sampled data", &differences, truth);
    }
}

#[test]
fn intervals_of_the_kernel_distance_hold_it() {
    for [samples, _, data] in cases() {
        for kernel in [Kernel::Polynomial, Kernel::Rbf { width: 1.5 }] {
            let truth = discrepancy(&samples, &data, kernel);
            let found = repeat(|seed| {
                let (x, y) = (draw(&samples, 300, seed), draw(&data, 400, 9000 + seed));
                kernel_distance(rows(&x), rows(&y), kernel).unwrap()
            });
            assert_covers(&format!("{kernel:?}"), &found, truth);
        }
    }
}

#[test]
fn intervals_of_paired_kernel_differences_hold_them() {
    for [a, b, data] in cases() {
        for kernel in [Kernel::Polynomial, Kernel::Rbf { width: 1.5 }] {
            let truth = discrepancy(&a, &data, kernel) - discrepancy(&b, &data, kernel);
            let found = repeat(|seed| {
                let [x, y] = [&a, &b].map(|set| draw(set, 300, seed));
                let data = draw(&data, 400, 9000 + seed);
                let data = rows(&data);
                compare_kernel_distance(rows(&x), rows(&y), data, kernel)
                    .unwrap()
                    .difference
            });
            assert_covers(&format!("difference, {kernel:?}"), &found, truth);
        }
    }
}

/// Of equal distributions the mean is 0, and the errors, all of second order, are the spread or
/// somewhat more, as they are never taken below it.
#[test]
fn equal_distributions_are_at_zero_on_average() {
    let data = mixture(0.3, 0.0);
    let pair = |seed: u64| (draw(&data, 200, seed), draw(&data, 250, 9000 + seed));
    let check = |name: &str, measure: &(dyn Fn(u64) -> Estimate + Sync)| {
        let found: Vec<Estimate> = (0..200).into_par_iter().map(measure).collect();
        let values: Vec<f64> = found.iter().map(|estimate| estimate.value).collect();
        let mean = Estimate::mean(&values);
        assert!(
            mean.value.abs() < 4.0 * mean.standard_error,
            "{name}: {mean:?}"
        );
        let printed = found.iter().map(|e| e.standard_error).sum::<f64>() / 200.0;
        let spread = mean.standard_error * 200f64.sqrt();
        println!(
            "{name}: mean {:.1e}, errors {printed:.5}, spread {spread:.5}",
            mean.value
        );
        assert!(
            (0.85..1.4).contains(&(printed / spread)),
            "{name}: {printed} {spread}"
        );
    };
    for kernel in [Kernel::Polynomial, Kernel::Rbf { width: 1.5 }] {
        check(&format!("{kernel:?}"), &|seed| {
            let (x, y) = pair(seed);
            kernel_distance(rows(&x), rows(&y), kernel).unwrap()
        });
    }
    check("energy", &|seed| {
        let (x, y) = pair(seed);
        energy_distance(rows(&x), rows(&y)).unwrap()
    });
    check("Frechet", &|seed| {
        let (x, y) = pair(seed);
        let reference = Reference::Sampled(rows(&y));
        frechet(rows(&x), reference, Halves::default())
            .unwrap()
            .corrected
    });
}

/// The bias of the plain distance falls as 1/n; the corrected one has none at either n.
#[test]
fn the_bias_of_the_frechet_distance_falls_as_one_over_n() {
    let [samples, _, data] = cases()[1].clone();
    let exact = moments(&data);
    let truth = frechet_distance(&moments(&samples), &exact).unwrap();
    let bias = |n: u64| {
        let found: Vec<_> = (0..4000u64)
            .into_par_iter()
            .map(|seed| {
                let x = draw(&samples, n, seed);
                let one = Halves { divisions: 2, seed };
                frechet(rows(&x), Reference::Exact(&exact), one).unwrap()
            })
            .collect();
        let mean = |value: fn(&tweedie::measure::Frechet) -> f64| {
            Estimate::mean(&found.iter().map(value).collect::<Vec<_>>())
        };
        let corrected = mean(|found| found.corrected.value);
        assert!(
            (corrected.value - truth).abs() < 4.0 * corrected.standard_error,
            "{corrected:?}"
        );
        let bias = mean(|found| found.plain.value - found.corrected.value);
        assert!(bias.value > 10.0 * bias.standard_error);
        bias.value * n as f64
    };
    let (at_50, at_200) = (bias(50), bias(200));
    assert!((at_50 / at_200 - 1.0).abs() < 0.1, "{at_50} {at_200}");
}

/// Blocks of pairs against the definition, sums over all pairs.
#[test]
fn the_kernel_distance_is_its_definition() {
    let (x, y) = (
        draw(&mixture(0.3, 0.0), 700, 0),
        draw(&mixture(0.5, 0.3), 530, 1),
    );
    let (x, y) = (rows(&x), rows(&y));
    let width = 0.7;
    let value = |kernel: Kernel, a: &[f64], b: &[f64]| {
        let square = (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
        match kernel {
            Kernel::Polynomial => (0.5 * (a[0] * b[0] + a[1] * b[1]) + 1.0).powi(3),
            Kernel::Energy => -square.sqrt(),
            _ => {
                let widths = [0.25, 0.5, 1.0, 2.0, 4.0].map(|factor| factor * width);
                let terms = widths.iter().map(|w| (-square / (2.0 * w * w)).exp());
                terms.sum::<f64>() / 5.0
            }
        }
    };
    for kernel in [Kernel::Polynomial, Kernel::Rbf { width }, Kernel::Energy] {
        let mean = |a: Features, b: Features, same: bool| {
            let mut sum = 0.0;
            for (i, a) in a.rows().enumerate() {
                for (j, b) in b.rows().enumerate() {
                    if !(same && i == j) {
                        sum += value(kernel, a, b);
                    }
                }
            }
            sum / (a.len() * (b.len() - usize::from(same))) as f64
        };
        let exact = mean(x, x, true) + mean(y, y, true) - 2.0 * mean(x, y, false);
        let found = kernel_distance(x, y, kernel).unwrap();
        assert!(
            (found.value - exact).abs() < 1e-10,
            "{kernel:?}: {} {exact}",
            found.value
        );
        let one = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        assert_eq!(
            one.install(|| kernel_distance(x, y, kernel).unwrap()),
            found
        );
    }
}

/// The difference of two sets is the difference of their distances; a set and itself differ by
/// nothing for certain; a planted difference is seen, and its sign is right.
#[test]
fn comparisons_say_which_is_better() {
    let [a, b, data] = cases()[0].clone();
    let [x, y] = [&a, &b].map(|set| draw(set, 2000, 7));
    let data = draw(&data, 2000, 8);
    let (x, y, data) = (rows(&x), rows(&y), rows(&data));
    let kernel = Kernel::rbf(data).unwrap();
    let reference = Reference::Sampled(data);
    let by_frechet =
        |a: Features, b: Features| compare_frechet(a, b, reference, Halves::default()).unwrap();
    let by_kernel = |a: Features, b: Features| compare_kernel_distance(a, b, data, kernel).unwrap();
    type Compare<'a> = &'a dyn Fn(Features, Features) -> Comparison;
    let compare: [Compare; 2] = [&by_frechet, &by_kernel];
    let single = |x: Features| {
        let frechet = frechet(x, reference, Halves::default()).unwrap().corrected;
        [frechet, kernel_distance(x, data, kernel).unwrap()]
    };
    let singles = single(x).into_iter().zip(single(y));
    for (compare, (of_x, of_y)) in compare.into_iter().zip(singles) {
        let found = compare(x, y);
        assert!((found.difference.value - (of_x.value - of_y.value)).abs() < 1e-12);
        assert_eq!(found.verdict(), Verdict::Better);
        assert_eq!(compare(y, x).verdict(), Verdict::Worse);
        assert!(found.deciding_samples().unwrap() < 2000);
        // Common noise falls out.
        let apart = of_x.standard_error.hypot(of_y.standard_error);
        assert!(found.difference.standard_error < 0.5 * apart);
        let same = compare(x, x);
        assert_eq!(
            (same.difference.value, same.difference.standard_error),
            (0.0, 0.0)
        );
        assert_eq!(
            (same.verdict(), same.deciding_samples()),
            (Verdict::CannotTell, None)
        );
    }
}

#[test]
fn wrong_input_has_one_clear_error() {
    let three = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    let a = Features::new("the samples", &three, 2).unwrap();
    let b = Features::new("the reference", &three, 3).unwrap();
    let message = kernel_distance(a, b, Kernel::Polynomial)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "the reference has shape [2, 3], but [2, 2] is needed"
    );
    let sampled = Reference::Sampled(b);
    assert!(frechet(a, sampled, Halves::default()).is_err());
    let other = Moments::new(vec![0.0], vec![1.0]).unwrap();
    assert!(frechet(a, Reference::Exact(&other), Halves::default()).is_err());
    let message = frechet(a, Reference::Sampled(a), Halves::default()).unwrap_err();
    assert_eq!(
        message.to_string(),
        "samples = 3: halves of two need four rows"
    );
    let none = Halves {
        divisions: 0,
        seed: 0,
    };
    let four = [0.0, 1.0, 2.0, 4.0];
    let four = Features::new("the samples", &four, 1).unwrap();
    assert!(frechet(four, Reference::Exact(&other), none).is_err());
    let two = Features::new("the samples", &three[..4], 2).unwrap();
    assert!(compare_kernel_distance(a, two, a, Kernel::Energy).is_err());
    assert!(compare_frechet(a, two, Reference::Sampled(a), Halves::default()).is_err());
    let equal = Features::new("the reference", &[1.0; 8], 2).unwrap();
    assert!(Kernel::rbf(equal).is_err());
}
