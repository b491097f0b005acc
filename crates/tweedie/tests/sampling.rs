//! The loop around samplers: what it guarantees whatever the algorithm, and random settings.

use std::ops::ControlFlow;

use proptest::prelude::*;
use toml::Table;
use tweedie::noise::{Coordinates, Levels, Path, Process};
use tweedie::ode::DormandPrince;
use tweedie::random::{NoiseSource, Stream};
use tweedie::sample::{
    Als, Cas, Churn, Corrector, DpmSolver, Heun, NoiseLevels, Observer, Order, Predictor,
    PredictorCorrector, ProbabilityFlow, Sampler, SamplerKind, Setting, StepSize, StepView,
    Trajectory, Variance, ancestral, ddim, reverse_sde, run,
};
use tweedie::score::guidance::ClassifierFree;
use tweedie::score::{Denoiser, GaussianMixture, Posterior, Query, by_level};
use tweedie::{Error, Result};

fn mixture() -> GaussianMixture {
    GaussianMixture::new(&[0.3, 0.7], vec![-1.0, 0.0, 2.0, 1.0], &[0.1, 0.5]).unwrap()
}

fn levels() -> Levels {
    Levels::geometric(5.0, 0.05, 10).unwrap()
}

fn source() -> NoiseSource {
    NoiseSource::new(5, Stream::Sampling)
}

const SAMPLERS: [fn() -> Box<dyn Sampler>; 15] = [
    || Box::new(Als::new(levels(), 2, StepSize::Eta(0.1)).unwrap()),
    || {
        Box::new(
            Als::new(levels(), 2, StepSize::Eta(0.1))
                .unwrap()
                .noise_first(),
        )
    },
    || Box::new(Cas::new(&levels(), StepSize::EpsC(1.5)).unwrap()),
    || Box::new(ddim(&vp(), 0.5).unwrap()),
    || Box::new(ancestral(&vp(), Variance::FixedSmall).unwrap()),
    || Box::new(ancestral(&vp(), Variance::FixedLarge).unwrap()),
    || Box::new(reverse_sde(&process(), 1.0, 0.0, 12).unwrap()),
    || pc(Corrector::Langevin(0.16), Order::CorrectorFirst),
    || pc(Corrector::Ald(0.16), Order::PredictorFirst),
    || pc(Corrector::Cas(0.3), Order::CorrectorFirst),
    || Box::new(Heun::new(levels(), Churn::default()).unwrap()),
    || {
        let s_churn = 5.0;
        let churn = Churn {
            s_churn,
            ..Churn::default()
        };
        Box::new(Heun::new(levels(), churn).unwrap())
    },
    || Box::new(ProbabilityFlow::new(levels(), DormandPrince::default()).unwrap()),
    || Box::new(DpmSolver::new(levels())),
    || Box::new(DpmSolver::stochastic(levels(), 1.0).unwrap()),
];

fn vp() -> Path {
    Path::new(&levels(), Coordinates::Vp)
}

fn process() -> Process {
    let (sigma_min, sigma_max) = (0.05, 5.0);
    Process::Ve {
        sigma_min,
        sigma_max,
    }
}

fn pc(corrector: Corrector, order: Order) -> Box<dyn Sampler> {
    let predictor = Predictor::ReverseDiffusion;
    Box::new(PredictorCorrector::new(&vp(), predictor, corrector, 1, order).unwrap())
}

/// Those, and every sampler by name with its defaults.
fn samplers() -> Vec<Box<dyn Fn() -> Box<dyn Sampler> + Sync>> {
    type New = Box<dyn Fn() -> Box<dyn Sampler> + Sync>;
    let built = SAMPLERS.into_iter().map(|new| Box::new(new) as New);
    let named = SamplerKind::ALL
        .iter()
        .map(|kind| Box::new(|| kind.sampler(&kind.defaults(), &levels()).unwrap()) as New);
    built.chain(named).collect()
}

#[test]
fn neither_split_nor_order_of_a_batch_changes_a_bit() {
    for new in samplers() {
        let all: Vec<u64> = (0..5000).collect();
        let whole = run(&mixture(), &mut *new(), &source(), &all, &mut ()).unwrap();
        for part in [&all[..1], &all[1..1000], &all[4999..]] {
            let split = run(&mixture(), &mut *new(), &source(), part, &mut ()).unwrap();
            let place = part[0] as usize * 2..(part[0] as usize + part.len()) * 2;
            assert_eq!(split.x, whole.x[place.clone()]);
            assert_eq!(split.denoised, whole.denoised[place]);
        }
        let swapped = run(&mixture(), &mut *new(), &source(), &[9, 2], &mut ()).unwrap();
        assert_eq!(swapped.x[..2], whole.x[18..20]);
        assert_eq!(swapped.x[2..], whole.x[4..6]);
        let empty = run(&mixture(), &mut *new(), &source(), &[], &mut ()).unwrap();
        assert!(empty.x.is_empty() && empty.finished);
    }
}

#[test]
fn threads_change_no_bit() {
    let one_thread = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let all: Vec<u64> = (0..5000).collect();
    for new in samplers() {
        let sample = || run(&mixture(), &mut *new(), &source(), &all, &mut ()).unwrap();
        assert_eq!(one_thread.install(sample), sample());
    }
}

/// Breaks down at noise levels below `limit`.
struct Fragile {
    limit: f64,
    value: f64,
}

impl Denoiser for Fragile {
    fn dim(&self) -> usize {
        2
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        by_level(2, query, posterior, |_, sigma, out| {
            out.fill(0.0);
            if sigma < self.limit {
                out[out.len() - 1] = self.value;
            }
            Ok(())
        })
    }
}

#[test]
fn a_denoiser_that_breaks_down_stops_the_run_at_its_level() {
    for value in [f64::NAN, f64::INFINITY] {
        let denoiser = Fragile { limit: 0.5, value };
        let mut cas = Cas::new(&levels(), StepSize::EpsC(1.5)).unwrap();
        let mut seen = 0;
        let mut count = |_: &StepView<'_>| seen += 1;
        let error = run(&denoiser, &mut cas, &source(), &[0, 1, 2], &mut count).unwrap_err();
        let first = levels()
            .as_slice()
            .iter()
            .position(|&sigma| sigma < 0.5)
            .unwrap();
        match error {
            Error::NotFinite { step, sigma, .. } => {
                assert_eq!((step, sigma), (first, levels().as_slice()[first]));
            }
            other => panic!("{other}"),
        }
        assert_eq!(seen, first);
    }
}

/// The error of a denoiser passes through.
#[test]
fn a_denoisers_own_error_is_the_runs() {
    struct Refusing;
    impl Denoiser for Refusing {
        fn dim(&self) -> usize {
            1
        }
        fn denoise(&self, query: &Query<'_>, _: &mut Posterior<'_>) -> Result<()> {
            Err(Error::setting("sigma", query.sigmas[0], "not mine"))
        }
    }
    let mut cas = Cas::new(&levels(), StepSize::EpsC(1.5)).unwrap();
    let error = run(&Refusing, &mut cas, &source(), &[0], &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "sigma = 5: not mine");
}

/// Network evaluations are those of each sample, whatever is sampled beside it.
#[test]
fn evaluations_are_counted_for_each_sample() {
    let target = mixture();
    let guided = ClassifierFree::new(&target, target.component(1).unwrap(), 2.0).unwrap();
    let samples: Vec<u64> = (0..20).collect();
    let heun = || Heun::new(levels(), Churn::default()).unwrap();
    let plain = run(&target, &mut heun(), &source(), &samples, &mut ()).unwrap();
    let twice = run(&guided, &mut heun(), &source(), &samples, &mut ()).unwrap();
    let calls = heun().calls().unwrap() as u32;
    assert_eq!(plain.evaluations, [calls; 20]);
    assert_eq!(twice.evaluations, [2 * calls; 20]);

    let flow = || ProbabilityFlow::new(levels(), DormandPrince::default()).unwrap();
    let together = run(&target, &mut flow(), &source(), &samples, &mut ()).unwrap();
    for (row, sample) in samples.iter().enumerate() {
        let alone = run(&target, &mut flow(), &source(), &[*sample], &mut ()).unwrap();
        assert_eq!(alone.evaluations, together.evaluations[row..=row]);
    }
    let most = together.most_evaluations();
    assert!(together.evaluations.iter().any(|n| (*n as usize) < most));
}

#[test]
fn observers_see_every_step_and_may_stop() {
    struct Stop(usize);
    impl Observer for Stop {
        fn step(&mut self, view: &StepView<'_>) -> ControlFlow<()> {
            if view.step == self.0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    let samples = [0, 1, 2, 3];
    let cas = Cas::new(&levels(), StepSize::EpsC(1.5)).unwrap();
    let mut observers = (Trajectory::new(vec![2, 0, 99]), NoiseLevels::new());
    let whole = run(
        &mixture(),
        &mut cas.clone(),
        &source(),
        &samples,
        &mut observers,
    )
    .unwrap();
    let (trajectory, noise) = &observers;
    assert_eq!(trajectory.rows(), [2, 0]);
    let mut expected = levels().as_slice().to_vec();
    expected.push(0.0);
    assert_eq!(trajectory.noise(), expected);
    let mut start = [0.0; 2];
    source().fill_normal(2, 0, &mut start);
    assert_eq!(trajectory.points()[..2], start.map(|z: f64| 5.0 * z));
    let last = &trajectory.points()[10 * 4..];
    assert_eq!(last, [&whole.x[4..6], &whole.x[..2]].concat());
    let scheduled: Vec<f64> = noise.levels().iter().map(|level| level.scheduled).collect();
    assert_eq!(scheduled, expected[1..]);
    assert!(whole.finished);

    let mut pair = (Trajectory::new(vec![0, 1, 2, 3]), Stop(4));
    let part = run(&mixture(), &mut cas.clone(), &source(), &samples, &mut pair).unwrap();
    assert!(!part.finished);
    assert_eq!(part.most_evaluations(), 5);
    assert_eq!(part.x, pair.0.points()[5 * 8..]);
    assert_eq!(pair.0.noise().len(), 6);
    let mut at_end = Stop(9);
    let all = run(
        &mixture(),
        &mut cas.clone(),
        &source(),
        &samples,
        &mut at_end,
    )
    .unwrap();
    assert_eq!(all, whole);
}

/// Some levels: a top and a product of gaps.
fn some_levels() -> impl Strategy<Value = Levels> {
    let gaps = prop::collection::vec(0.001f64..0.999, 0..30);
    (0.01f64..1000.0, gaps).prop_filter_map("levels underflow", |(top, gaps)| {
        let mut sigmas = vec![top];
        for gamma in gaps {
            sigmas.push(sigmas[sigmas.len() - 1] * gamma);
        }
        Levels::new(sigmas).ok()
    })
}

fn lowest_eta(levels: &Levels) -> f64 {
    levels
        .gammas()
        .iter()
        .map(|gamma| 1.0 - gamma)
        .fold(0.0, f64::max)
}

fn finite(sampler: &mut dyn Sampler) {
    let result = run(&mixture(), sampler, &source(), &[0, 1, 2], &mut ()).unwrap();
    assert!(
        result
            .x
            .iter()
            .chain(&result.denoised)
            .all(|x| x.is_finite())
    );
}

/// Every setting that is a number, with its sampler.
fn real_settings() -> Vec<(SamplerKind, Setting)> {
    let of = |kind: &SamplerKind| {
        let kind = *kind;
        let settings = kind.description().settings.iter();
        let real = settings.filter(|setting| setting.interval(&levels()).is_some());
        real.map(move |setting| (kind, *setting))
    };
    SamplerKind::ALL.iter().flat_map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_feasible_eps_c_samples(levels in some_levels(), eps_c in 1.0f64..50.0, infinite: bool) {
        let eps_c = if infinite { f64::INFINITY } else { eps_c };
        let mut cas = Cas::new(&levels, StepSize::EpsC(eps_c)).unwrap();
        for step in cas.coefficients() {
            prop_assert!(step.eta > 0.0 && step.eta <= 1.0);
            prop_assert!((0.0..=1.0).contains(&step.beta));
        }
        finite(&mut cas);
    }

    #[test]
    fn every_feasible_eta_samples(levels in some_levels(), share in 0.0f64..=1.0, b: bool) {
        let lowest = lowest_eta(&levels).max(1e-6);
        let eta = lowest + share * (1.0 - lowest);
        let step_size =
            if b { StepSize::EpsB(eta * levels.last().powi(2)) } else { StepSize::Eta(eta) };
        let mut cas = Cas::new(&levels, step_size).unwrap();
        for step in cas.coefficients() {
            prop_assert!((0.0..=1.0).contains(&step.beta));
        }
        finite(&mut cas);
    }

    #[test]
    fn every_infeasible_eta_is_refused_by_name(
        levels in some_levels(), share in 0.0f64..0.999, above: bool, b: bool
    ) {
        let eta = if above { 1.001 + share } else { share * lowest_eta(&levels) };
        let unit = if b { levels.last().powi(2) } else { 1.0 };
        let step_size = if b { StepSize::EpsB(eta * unit) } else { StepSize::Eta(eta) };
        prop_assume!(above || levels.len() > 1);
        let error = Cas::new(&levels, step_size).unwrap_err();
        prop_assert!(error.to_string().starts_with(step_size.name()), "{}", error);
        if eta > 0.0 {
            let interval = format!("[{}, {}]", lowest_eta(&levels) * unit, unit);
            prop_assert!(error.to_string().contains(&interval), "{}", error);
        }
    }

    #[test]
    fn als_takes_what_is_stable_and_refuses_the_rest_by_name(
        levels in some_levels(), n_sigma in 1usize..5, eta in 0.001f64..1.999, wrong in 2.0f64..1e6
    ) {
        finite(&mut Als::new(levels.clone(), n_sigma, StepSize::Eta(eta)).unwrap());
        for eta in [wrong, -wrong, f64::NAN] {
            let error = Als::new(levels.clone(), n_sigma, StepSize::Eta(eta)).unwrap_err();
            prop_assert!(error.to_string().starts_with("eta"));
        }
        let error = Als::new(levels, n_sigma, StepSize::EpsC(1.0 + eta)).unwrap_err();
        prop_assert!(error.to_string().starts_with("eps_c"));
    }

    #[test]
    fn every_valid_setting_of_every_sampler_samples(
        levels in some_levels(),
        kind in prop::sample::select(SamplerKind::ALL),
        unit in prop::collection::vec(0.0f64..1.0, 40),
    ) {
        let mut unit = unit.into_iter().cycle();
        let settings = kind.description().draw(&levels, &mut || unit.next().unwrap());
        match kind.sampler(&settings, &levels) {
            Ok(mut sampler) => {
                let result = run(&mixture(), &mut *sampler, &source(), &[0, 1, 2], &mut ());
                // Euler-Maruyama and Heun grow without bound where steps are too long for them:
                // an error that says so, never a NaN handed out.
                match result {
                    Ok(found) => {
                        prop_assert!(found.x.iter().all(|x| x.is_finite()));
                        prop_assert!(found.denoised.iter().all(|x| x.is_finite()));
                        if let Some(calls) = sampler.calls() {
                            prop_assert_eq!(found.most_evaluations(), calls);
                        }
                    }
                    Err(error) => prop_assert!(
                        matches!(kind, SamplerKind::ReverseSde | SamplerKind::Pc),
                        "{kind:?} {settings}: {error}"
                    ),
                }
            }
            // What may be wrong is the number of levels, or noise beyond the process's reach.
            Err(error) => {
                let message = error.to_string();
                let known = ["beta_max", "end", "start", "steps"];
                prop_assert!(known.iter().any(|k| message.starts_with(k)), "{kind:?}: {message}");
            }
        }
    }

    #[test]
    fn invalid_settings_are_named(
        levels in some_levels(),
        beyond in 1.0f64..1e6,
        nan: bool,
        (kind, setting) in prop::sample::select(real_settings()),
    ) {
        // A weight may be negative.
        let accepted = setting.interval(&levels).is_some_and(|all| all.contains(-beyond));
        let value = if nan || accepted { f64::NAN } else { -beyond };
        let key = setting.name;
        let mut settings = Table::new();
        settings.insert(key.into(), value.into());
        if let Some((name, words)) = setting.with {
            settings.insert(name.into(), words[0].into());
        }
        let error = kind.sampler(&settings, &levels).err();
        let message = error.map(|error| error.to_string()).unwrap_or_default();
        prop_assert!(message.starts_with(key), "{kind:?} {key} = {value}: {message}");
    }

    #[test]
    fn levels_are_decreasing_or_refused(
        a in -1.0f64..10.0, b in -1.0f64..10.0, count in 0usize..50, rho in -1.0f64..20.0
    ) {
        for levels in [Levels::geometric(a, b, count), Levels::karras(a, b, count, rho)] {
            match levels {
                Ok(levels) => {
                    prop_assert_eq!((levels.first(), levels.last(), levels.len()), (a, b, count));
                    prop_assert!(levels.gammas().iter().all(|gamma| (0.0..1.0).contains(gamma)));
                    let dilated = levels.dilate(3).unwrap();
                    prop_assert_eq!(dilated.len(), (count - 1) * 3 + 1);
                }
                Err(error) => {
                    let expected = ["sigma", "level", "rho"];
                    prop_assert!(expected.iter().any(|name| error.to_string().starts_with(name)));
                }
            }
        }
    }
}
