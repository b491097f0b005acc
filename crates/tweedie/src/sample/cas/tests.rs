//! The coefficients at their named values, and what is refused.

use super::*;

fn refusal(levels: &Levels, step_size: StepSize) -> String {
    Cas::new(levels, step_size).unwrap_err().to_string()
}

#[test]
fn property_10_beta_at_the_named_values() {
    let levels = Levels::geometric(50.0, 0.01, 8).unwrap();
    let beta = |eps_c| {
        let cas = Cas::new(&levels, StepSize::EpsC(eps_c)).unwrap();
        cas.coefficients()[..7].to_vec()
    };
    assert!(beta(1.0).iter().all(|step| step.beta == 0.0));
    assert!(
        beta(2.0)
            .iter()
            .all(|step| (step.beta - step.eta.sqrt()).abs() < 1e-14)
    );
    assert!(
        beta(f64::INFINITY)
            .iter()
            .all(|step| step.beta == 1.0 && step.eta == 1.0)
    );
    for eps_c in [1.0, 1.2, 1.56, 2.0, 7.0, 300.0] {
        for step in beta(eps_c) {
            let gamma = step.sigma_next / step.sigma;
            assert!(step.eta >= (1.0 - gamma) * (1.0 - 1e-14) && step.eta <= 1.0);
            // The closed form is the definition.
            let definition = (1.0 - ((1.0 - step.eta) / gamma).powi(2)).max(0.0).sqrt();
            assert!((step.beta - definition).abs() < if eps_c == 1.0 { 1e-7 } else { 1e-12 });
        }
    }
}

#[test]
fn property_10_an_infeasible_eta_is_refused_with_the_interval() {
    let levels = Levels::new(vec![8.0, 4.0, 1.0, 0.5]).unwrap();
    let message = refusal(&levels, StepSize::Eta(0.6));
    assert!(
        message.starts_with("eta = 0.6: eta must lie in [0.75, 1]"),
        "{message}"
    );
    assert!(
        message.contains("below 0.75 at level 2 (sigma = 4, gamma = 0.25)"),
        "{message}"
    );
    // In units of eps_b = eta sigma_L^2.
    let message = refusal(&levels, StepSize::EpsB(0.1));
    assert!(
        message.starts_with("eps_b = 0.1: eps_b must lie in [0.1875, 0.25]"),
        "{message}"
    );
    let message = refusal(&levels, StepSize::EpsB(0.3));
    assert!(message.contains("[0.1875, 0.25]"), "{message}");
    let message = refusal(&levels, StepSize::EpsC(0.99));
    assert!(
        message.starts_with("eps_c = 0.99: eps_c must lie in [1, inf]"),
        "{message}"
    );
    assert!(refusal(&levels, StepSize::EpsC(f64::NAN)).starts_with("eps_c"));
    for eta in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        assert!(refusal(&levels, StepSize::Eta(eta)).starts_with("eta"));
    }
}

#[test]
fn property_10_both_ends_of_the_interval_are_legal() {
    for levels in [
        Levels::geometric(50.0, 0.01, 232).unwrap(),
        Levels::geometric(3.0, 0.7, 5).unwrap(),
        Levels::geometric(2.0, 0.5, 16).unwrap(),
    ] {
        let lowest = levels
            .gammas()
            .iter()
            .map(|gamma| 1.0 - gamma)
            .fold(0.0, f64::max);
        let square = levels.last() * levels.last();
        for step_size in [StepSize::Eta(lowest), StepSize::EpsB(lowest * square)] {
            let cas = Cas::new(&levels, step_size).unwrap();
            assert!(cas.coefficients().iter().all(|step| step.beta < 1e-6));
        }
        for step_size in [StepSize::Eta(1.0), StepSize::EpsB(square)] {
            let cas = Cas::new(&levels, step_size).unwrap();
            let last = levels.len() - 1;
            assert!(
                cas.coefficients()[..last]
                    .iter()
                    .all(|step| step.beta == 1.0)
            );
        }
    }
}

#[test]
fn one_level_is_one_step_to_the_data() {
    let level = Levels::new(vec![0.7]).unwrap();
    let cas = Cas::new(&level, StepSize::EpsC(1.5)).unwrap();
    let step = CasStep {
        sigma: 0.7,
        sigma_next: 0.0,
        eta: 1.0,
        beta: 0.0,
    };
    assert_eq!(cas.coefficients(), [step]);
    let cas = Cas::new(&level, StepSize::Eta(0.3)).unwrap();
    assert_eq!(cas.coefficients(), [CasStep { eta: 0.3, ..step }]);
}

#[test]
fn the_papers_step_sizes_are_feasible_with_the_eps_c_the_facts_state() {
    for (sigma_1, count, n_sigma, eps_b, eps_c) in [
        (50.0, 232, 1, 5.6e-6, 1.56),
        (50.0, 232, 5, 1.1e-6, 1.50),
        (50.0, 232, 1, 5.45e-6, 1.52),
        (50.0, 232, 5, 1.05e-6, 1.43),
        (140.0, 788, 1, 2.8e-6, 2.34),
        (140.0, 788, 5, 4.5e-7, 1.86),
        (50.0, 200, 1, 5e-6, 1.20),
    ] {
        let levels = Levels::geometric(sigma_1, 0.01, count).unwrap();
        let levels = levels.dilate(n_sigma).unwrap();
        let cas = Cas::new(&levels, StepSize::EpsB(eps_b)).unwrap();
        let step = cas.coefficients()[0];
        let found = (1.0 - step.eta).ln() / (step.sigma_next / step.sigma).ln();
        assert!((found - eps_c).abs() < 0.005, "{found} for {eps_c}");
    }
}
