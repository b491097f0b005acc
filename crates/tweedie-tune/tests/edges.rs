//! Networks that are wrong, budgets that are too small, and searches that are interrupted: an
//! explanation or an exact resume, never a crash.

use std::ops::ControlFlow;

use tweedie::Error;
use tweedie::job::{Monitor, Progress};
use tweedie::measure::{FrechetReference, Halves, Moments, Reference};
use tweedie::score::{Denoiser, Posterior, Query, by_level};
use tweedie_tune::{Cache, DenoiserSubject, Search, Space, Stand, Tuned, search};

const DIM: usize = 2;
const SIGMA: [f64; 2] = [5.0, 0.02];

/// N(0, 1) denoised, wrongly in one of several ways.
#[derive(Clone, Copy)]
enum Network {
    Exact,
    Constant,
    NanBelow(f64),
    AlwaysNan,
}

impl Denoiser for Network {
    fn dim(&self) -> usize {
        DIM
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> tweedie::Result<()> {
        by_level(DIM, query, posterior, |x, sigma, out| {
            let gain = match *self {
                Self::AlwaysNan => f64::NAN,
                Self::NanBelow(least) if sigma < least => f64::NAN,
                Self::Constant => 0.0,
                _ => 1.0 / (1.0 + sigma * sigma),
            };
            for (x, out) in x.iter().zip(out) {
                *out = gain * x;
            }
            Ok(())
        })
    }
}

fn find(
    network: Network,
    plan: &Search,
    cache: Option<Cache>,
    monitor: &mut Monitor<'_>,
) -> tweedie::Result<Tuned> {
    let subject = DenoiserSubject {
        denoiser: &network,
        name: "network".into(),
        sigma_range: SIGMA,
    };
    let moments = Moments::new(vec![0.0; DIM], vec![1.0, 0.0, 0.0, 1.0]).unwrap();
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default()).unwrap();
    let mut stand = Stand::new(&subject, cache);
    let space = Space::new(SIGMA);
    search(&mut stand, &space, [&reference; 2], plan, monitor)
}

fn plan(calls: usize) -> Search {
    Search {
        points: 12,
        first: 64,
        most: 256,
        ..Search::new(calls, 400_000)
    }
}

#[test]
fn a_constant_network_is_a_tie_of_equally_bad_settings() {
    let found = find(Network::Constant, &plan(6), None, &mut Monitor::silent()).unwrap();
    // All data at 0: the distance is tr(1) = 2, whatever is tried.
    assert!((found.distance.corrected.value - 2.0).abs() < 1e-9);
    assert_eq!(format!("{:?}", found.outcome), "Tie");
}

/// Settings whose levels stay above the trouble remain.
#[test]
fn a_network_that_is_nan_at_low_noise_is_tuned_above_it() {
    let network = Network::NanBelow(0.1);
    let found = find(network, &plan(6), None, &mut Monitor::silent()).unwrap();
    assert!(found.best.levels.last() >= 0.1, "{}", found.best);
    assert!(found.distance.corrected.value.is_finite());
    let lost = found.dropped.iter().filter(|lost| lost.samples == 0);
    let (count, reasons) = lost.fold((0, String::new()), |(count, all), lost| {
        (count + 1, all + &lost.reason)
    });
    assert!(count > 0 && reasons.contains("not finite"), "{reasons}");
}

#[test]
fn a_network_that_is_always_nan_is_refused_with_what_it_says() {
    let found = find(Network::AlwaysNan, &plan(6), None, &mut Monitor::silent());
    let message = found.unwrap_err().to_string();
    assert!(message.contains("all fail"), "{message}");
    assert!(message.contains("not finite"), "{message}");
}

#[test]
fn one_call_is_tuned_and_none_is_refused() {
    let found = find(Network::Exact, &plan(1), None, &mut Monitor::silent()).unwrap();
    assert_eq!(found.best.sampler().unwrap().calls(), Some(1));
    let message = find(Network::Exact, &plan(0), None, &mut Monitor::silent());
    assert!(message.is_err());
}

#[test]
fn too_few_evaluations_are_refused_with_what_is_needed() {
    let few = Search {
        evaluations: 1000,
        ..plan(8)
    };
    let found = find(Network::Exact, &few, None, &mut Monitor::silent());
    let message = found.unwrap_err().to_string();
    assert!(
        message.contains("too few") && message.contains("more time"),
        "{message}"
    );
}

/// Stopped at many moments, and resumed each time: what is found in the end is what one search finds.
#[test]
fn a_search_interrupted_at_any_moment_resumes_to_the_same_result() {
    let plan = plan(4);
    let whole = find(Network::Exact, &plan, None, &mut Monitor::silent()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut stops, mut patience) = (0, 0);
    let resumed = loop {
        let cache = Cache::open(dir.path().join("evaluations")).unwrap();
        patience += 3;
        let mut seen = 0;
        let mut watcher = |_: &Progress<'_>| {
            seen += 1;
            match seen < patience {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        match find(
            Network::Exact,
            &plan,
            Some(cache),
            &mut Monitor::new(&mut watcher),
        ) {
            Ok(found) => break found,
            Err(Error::Stopped) => stops += 1,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(stops > 10, "{stops}");
    assert_eq!(resumed, whole);
}
