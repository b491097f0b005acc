//! What the search claims: false winners, power, resumption, failures. Subjects are made up, so that
//! the truth is known and a search takes milliseconds.

use std::cell::Cell;
use std::ops::{ControlFlow, Range};

use tweedie::job::{Monitor, Progress};
use tweedie::measure::{FrechetReference, Halves, Moments, Reference};
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::{Error, Result};
use tweedie_tune::{Cache, Candidate, DenoiserSubject, Drawing, Grid, Outcome, Race, Search};
use tweedie_tune::{Solver, Space, Stand, Subject, race, search};

/// Samples of N(0, I) in the plane, half of whose variance is common to all candidates, moved by
/// what `shift` makes of the candidate.
struct MadeUp<F: Fn(&Candidate) -> Result<f64>> {
    shift: F,
    repetition: u64,
    drawn: Cell<u64>,
}

impl<F: Fn(&Candidate) -> Result<f64>> MadeUp<F> {
    fn new(repetition: u64, shift: F) -> Self {
        Self {
            shift,
            repetition,
            drawn: Cell::new(0),
        }
    }
}

impl<F: Fn(&Candidate) -> Result<f64>> Subject for MadeUp<F> {
    fn fingerprint(&self) -> String {
        format!("made up {}", self.repetition)
    }

    fn sigma_range(&self) -> [f64; 2] {
        [10.0, 0.01]
    }

    fn dim(&self) -> usize {
        2
    }

    fn draw(
        &self,
        candidate: &Candidate,
        seeds: Range<u64>,
        _: &mut Monitor<'_>,
    ) -> Result<Drawing> {
        let shift = (self.shift)(candidate)?;
        let hash = candidate.key().bytes().fold(self.repetition, |hash, byte| {
            hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)
        });
        let common = NoiseSource::new(self.repetition, Stream::Data);
        let own = NoiseSource::new(hash, Stream::Data);
        let mut features = Vec::new();
        for seed in seeds.clone() {
            let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
            common.fill_normal(seed, 0, &mut a);
            own.fill_normal(seed, 0, &mut b);
            features.extend((0..2).map(|i| 0.5f64.sqrt() * (a[i] + b[i]) + shift));
        }
        self.drawn.set(self.drawn.get() + 1);
        Ok(Drawing {
            evaluations: (seeds.end - seeds.start) * candidate.levels.len() as u64,
            features,
        })
    }
}

fn standard() -> Moments {
    Moments::new(vec![0.0; 2], vec![1.0, 0.0, 0.0, 1.0]).unwrap()
}

fn plan(calls: usize, seed: u32) -> Search {
    Search {
        points: 5,
        first: 64,
        most: 512,
        seed,
        ..Search::new(calls, 400_000)
    }
}

fn space() -> Space {
    Space {
        solvers: vec![Solver::Cas],
        ..Space::new([10.0, 0.01])
    }
}

/// All settings are equal: a winner is declared in at most 5 % of the searches, and the reported
/// interval holds the distance.
#[test]
fn among_equal_settings_a_winner_is_seldom_declared() {
    let repetitions = 200;
    let (mut winners, mut held) = (0, 0);
    let moments = standard();
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default()).unwrap();
    for repetition in 0..repetitions {
        // At the same distance, 2 (0.3)^2.
        let subject = MadeUp::new(repetition, |_| Ok(0.3));
        let mut stand = Stand::new(&subject, None);
        let silent = &mut Monitor::silent();
        let plan = plan(8, repetition as u32);
        let found = search(&mut stand, &space(), [&reference; 2], &plan, silent).unwrap();
        winners += usize::from(found.outcome == Outcome::Winner);
        let [low, high] = found.distance.corrected.interval();
        held += usize::from(low <= 0.18 && 0.18 <= high);
    }
    println!("{winners} winners of {repetitions}, {held} intervals hold the distance");
    assert!(winners as f64 <= 0.05 * repetitions as f64, "{winners}");
    // 95 % of 200, and 4 standard errors of that share.
    assert!(
        held as f64 > (0.95 - 4.0 * 0.0154) * repetitions as f64,
        "{held}"
    );
}

/// One of eight settings is better by a planted difference: how often it wins the race alone, and
/// that no other ever does.
#[test]
fn a_planted_difference_is_found_with_the_power_that_is_printed() {
    let candidates: Vec<Candidate> = (0..8)
        .map(|i| Candidate {
            sampler: tweedie::sample::SamplerKind::Cas,
            grid: Grid::Geometric,
            levels: Levels::geometric(10.0, 0.01, 8).unwrap(),
            denoise: true,
            guidance: None,
            settings: toml::Table::from_iter([("eps_c".to_owned(), (1.0 + f64::from(i)).into())]),
        })
        .collect();
    let planted = candidates[5].clone();
    let moments = standard();
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default()).unwrap();
    let mut powers = Vec::new();
    for gap in [0.0, 0.05, 0.1, 0.2] {
        let (repetitions, mut alone, mut wrong) = (50, 0, 0);
        for repetition in 0..repetitions {
            let better = planted.clone();
            let subject = MadeUp::new(repetition, move |candidate| {
                Ok(if *candidate == better { 0.3 } else { 0.3 + gap })
            });
            let plan = Race {
                calls: 8,
                seed: 0,
                first: 128,
                most: 1024,
                evaluations: u64::MAX,
                epsilon: 0.0,
            };
            let mut stand = Stand::new(&subject, None);
            let silent = &mut Monitor::silent();
            let found = race(&mut stand, &reference, candidates.clone(), &plan, silent).unwrap();
            let left: Vec<&Candidate> = found.standings.iter().map(|s| &s.candidate).collect();
            alone += usize::from(left == [&planted]);
            wrong += usize::from(!left.contains(&&planted));
        }
        println!("gap {gap}: wins alone in {alone} of {repetitions}, lost in {wrong}");
        // 5 % of 50 and 3 standard errors.
        assert!(wrong <= 7, "{wrong}");
        powers.push(alone);
    }
    assert!(
        powers.is_sorted() && powers[0] <= 3 && powers[3] == 50,
        "{powers:?}"
    );
}

/// A search that is stopped at any moment and begun again is the search that was not stopped, and
/// draws nothing twice.
#[test]
fn a_search_that_was_stopped_resumes_to_the_same_result() {
    let moments = standard();
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default()).unwrap();
    let shift = |candidate: &Candidate| {
        let eps_c = match &candidate.settings["eps_c"] {
            toml::Value::Array(list) => list[0].as_float(),
            one => one.as_float(),
        };
        Ok(0.1 + 0.1 * (eps_c.unwrap() - 2.0).abs().min(3.0))
    };
    let run = |cache: Option<Cache>, stop_after: usize| {
        let subject = MadeUp::new(7, shift);
        let mut seen = 0;
        let mut watcher = |_: &Progress<'_>| {
            seen += 1;
            match seen <= stop_after {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let mut monitor = Monitor::new(&mut watcher);
        let mut stand = Stand::new(&subject, cache);
        let plan = plan(8, 3);
        let found = search(&mut stand, &space(), [&reference; 2], &plan, &mut monitor);
        (found, subject.drawn.get())
    };
    let (whole, drawn) = run(None, usize::MAX);
    let whole = whole.unwrap();
    assert!(drawn > 20);
    let dir = tempfile::tempdir().unwrap();
    let cache = || Some(Cache::open(dir.path()).unwrap());
    let mut drawn_in_parts = 0;
    for stop_after in [0, 1, 7, 15, 24, 31] {
        let (stopped, drawn) = run(cache(), stop_after);
        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        drawn_in_parts += drawn;
    }
    let (resumed, last) = run(cache(), usize::MAX);
    assert_eq!(resumed.unwrap(), whole);
    assert_eq!(drawn_in_parts + last, drawn);
    let (again, none) = run(cache(), usize::MAX);
    assert_eq!(again.unwrap(), whole);
    assert_eq!(none, 0);
    // What it found is where the distance is least.
    let eps_c = whole.best.settings["eps_c"].as_float().unwrap();
    assert!((eps_c - 2.0).abs() < 0.3, "{eps_c}");
}

#[test]
fn settings_that_fail_are_left_with_their_reason_and_nothing_crashes() {
    let moments = standard();
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default()).unwrap();
    let fail = |candidate: &Candidate| Err(Error::setting("candidate", candidate, "is NaN"));
    let some = |candidate: &Candidate| match candidate.levels.last() < 0.02 {
        true => Err(Error::setting(
            "sigma",
            candidate.levels.last(),
            "is NaN below 0.02",
        )),
        false => Ok(0.2),
    };
    let silent = &mut Monitor::silent();
    let subject = MadeUp::new(0, fail);
    let mut stand = Stand::new(&subject, None);
    let error = search(&mut stand, &space(), [&reference; 2], &plan(8, 0), silent).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("all fail") && error.contains("is NaN"),
        "{error}"
    );

    let subject = MadeUp::new(0, some);
    let mut stand = Stand::new(&subject, None);
    let found = search(&mut stand, &space(), [&reference; 2], &plan(8, 0), silent).unwrap();
    assert!(found.best.levels.last() >= 0.02);
    let reasons = found
        .dropped
        .iter()
        .filter(|dropped| dropped.reason.contains("0.02"));
    assert!(reasons.count() > 2);

    // One call alone is still a search, of nothing but sigma_max; too little for any is refused.
    let subject = MadeUp::new(0, |_| Ok(0.2));
    let mut stand = Stand::new(&subject, None);
    let found = search(&mut stand, &space(), [&reference; 2], &plan(1, 0), silent).unwrap();
    assert_eq!(found.best.levels.len(), 1);
    let few = Search::new(8, 100);
    let error = search(&mut stand, &space(), [&reference; 2], &few, silent).unwrap_err();
    assert!(error.to_string().contains("give it more time"), "{error}");

    // A denoiser that knows one thing only: every setting gives that.
    let denoiser = tweedie::score::Empirical::new(vec![0.5, 0.5], 2).unwrap();
    let subject = DenoiserSubject {
        denoiser: &denoiser,
        name: "one item".into(),
        sigma_range: [10.0, 0.01],
    };
    let mut stand = Stand::new(&subject, None);
    let few = Search {
        points: 2,
        ..plan(4, 0)
    };
    let found = search(
        &mut stand,
        &Space::new([10.0, 0.01]),
        [&reference; 2],
        &few,
        silent,
    )
    .unwrap();
    assert_eq!(found.outcome, Outcome::Tie);
}
