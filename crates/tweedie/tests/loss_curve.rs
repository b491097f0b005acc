//! Loss curves of exact denoisers, and sampling by them without a run.

use tweedie::data::{DataSpec, open};
use tweedie::job::Monitor;
use tweedie::noise::{Levels, LossCurve, LossPoint, LossSchedule, Measured};
use tweedie::random::{NoiseSource, Stream};
use tweedie::run::SampleConfig;
use tweedie::sample::run;
use tweedie::score::{Batch, Denoiser, Empirical, GaussianMixture, denoising_loss};

fn source(seed: u64) -> NoiseSource {
    NoiseSource::new(seed, Stream::Evaluation)
}

fn measure(denoiser: &dyn Denoiser, items: &[f64], levels: &Levels, seed: u64) -> Vec<LossPoint> {
    let monitor = &mut Monitor::silent();
    let batch = Batch::default();
    denoising_loss(denoiser, items, batch, levels, &source(seed), 64, monitor).unwrap()
}

/// The digits, and every ninth of them.
fn digits() -> (Empirical, Vec<f64>) {
    let data = open(&DataSpec::new("digits")).unwrap();
    let rows =
        |rows: Vec<usize>| -> Vec<f64> { data.gather(&rows).into_iter().map(f64::from).collect() };
    let all = rows((0..data.len()).collect());
    let some = rows((0..data.len()).step_by(9).collect());
    (Empirical::new(all, data.dim()).unwrap(), some)
}

#[test]
fn the_digits_have_a_smooth_increasing_curve() {
    let (denoiser, items) = digits();
    let levels = Levels::geometric(5.0, 0.1, 24).unwrap();
    let points = measure(&denoiser, &items, &levels, 0);
    // The common noise makes even single measurements increase, down to where nearly every item is
    // recognised; there a few events decide.
    let many = points.iter().filter(|point| point.sigma > 0.4);
    assert!(
        many.collect::<Vec<_>>()
            .is_sorted_by(|a, b| a.loss > b.loss)
    );
    let other = measure(&denoiser, &items, &levels, 1);
    for (a, b) in points.iter().zip(&other) {
        let error = a.standard_error.unwrap().hypot(b.standard_error.unwrap());
        assert!((a.loss - b.loss).abs() < 4.0 * error + 1e-12, "{a:?} {b:?}");
    }
    let curve = LossCurve::new(points, Measured::default()).unwrap();
    let again = LossCurve::new(other, Measured::default()).unwrap();
    for &schedule in LossSchedule::ALL {
        let [a, b] = [&curve, &again].map(|c| schedule.levels(c, 5.0, 0.1, 10, 1.0).unwrap());
        for (a, b) in a.as_slice().iter().zip(b.as_slice()) {
            assert!((a / b).ln().abs() < 0.1, "{schedule}: {a} {b}");
        }
    }
}

/// H is orthogonal to its error: E H.(x0 - H) = 0, so that m = E ||x0||^2 - E ||H||^2, where the
/// items are the whole data set.
#[test]
fn the_loss_of_the_digits_is_what_h_lacks_of_their_square() {
    let (denoiser, _) = digits();
    let items = denoiser.data();
    let dim = denoiser.dim();
    let numbers: Vec<u64> = (0..(items.len() / dim) as u64).collect();
    let mut z = vec![0.0; items.len()];
    source(4).fill_batch(&numbers, 0, &mut z);
    for sigma in [0.5, 1.0, 3.0] {
        let levels = Levels::new(vec![sigma]).unwrap();
        let measured = measure(&denoiser, items, &levels, 4)[0];
        let x: Vec<f64> = items.iter().zip(&z).map(|(x, z)| x + sigma * z).collect();
        let mut h = vec![0.0; x.len()];
        denoiser.denoise_at(&x, sigma, &mut h).unwrap();
        let square = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
        let lacks: Vec<f64> = items
            .chunks_exact(dim)
            .zip(h.chunks_exact(dim))
            .map(|(x, h)| square(x) - square(h))
            .collect();
        let n = lacks.len() as f64;
        let mean = lacks.iter().sum::<f64>() / n;
        let spread = lacks.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        // The first term is known, as the items are all there are; this bounds the error.
        let error = measured.standard_error.unwrap().hypot((spread / n).sqrt());
        assert!(
            (measured.loss - mean).abs() < 4.0 * error,
            "{measured:?} {mean}"
        );
    }
}

/// Sampling by a curve that is known, with no run: the variance of a Gaussian's samples is the
/// recursion on those levels.
#[test]
fn an_analytic_denoiser_is_sampled_by_its_curve() {
    let v = 0.5f64;
    let target = GaussianMixture::gaussian(vec![0.0; 8], v).unwrap();
    let levels = Levels::geometric(10.0, 0.01, 60).unwrap();
    let curve = LossCurve::exact(&levels, |s| 8.0 * v * s * s / (v + s * s)).unwrap();
    let numbers: Vec<u64> = (0..2000).collect();
    for schedule in ["loss-curve", "mse-dp", "entropic"] {
        let config = SampleConfig::default().with("eps_c", 1.0);
        let config = config.changed(&[format!("schedule={schedule}"), "steps=6".into()]);
        let config = config.unwrap();
        let levels = config.levels(10.0, 0.01, Some(&curve)).unwrap();
        let mut sampler = config.sampler(10.0, 0.01, Some(&curve)).unwrap();
        let noise = NoiseSource::new(0, Stream::Sampling);
        let samples = run(&target, sampler.as_mut(), &noise, &numbers, &mut ()).unwrap();
        assert_eq!(samples.most_evaluations(), 6);
        let values = &samples.denoised;
        let found = values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64;
        let h = |sigma: f64| v / (v + sigma * sigma);
        let pairs = levels.as_slice().windows(2);
        let std = pairs.fold(10.0, |std, pair| {
            let gamma = pair[1] / pair[0];
            std * (gamma + (1.0 - gamma) * h(pair[0]))
        });
        let expected = (std * h(0.01)).powi(2);
        // 2/n is the relative variance of a variance.
        let error = expected * (2.0 / values.len() as f64).sqrt();
        assert!(
            (found - expected).abs() < 4.0 * error,
            "{schedule}: {found} {expected}"
        );
    }
}
