//! A setting for other tools: its levels in a line, and a scheduler of diffusers.
//!
//! diffusers has the Euler step of the probability flow (CAS with eps_c = 1), ancestral sampling
//! (eps_c = 2), DPM-Solver++ 2M, its SDE-2M with eta = 1, and Heun's method without churn. For these
//! its own class is taken, with the levels of the setting; other amounts of noise, per-step settings
//! and SA-Solver are a step of a few lines in a class of their own.
//!
//! Checked by running: `scripts/golden-diffusers.py`, `tests/diffusers.rs`.

use std::fmt::Write;

use tweedie::Result;
use tweedie::nn::{InputScaling, Preconditioning};
use tweedie::noise::{Levels, Schedule, Timesteps, TrainingNoise};
use tweedie::run::{Config, NoiseKind};
use tweedie::sample::SamplerKind;

use crate::Candidate;
use crate::per_step::Steps;

/// What other tools must know of the network's noise.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkNoise {
    /// Timesteps of a table of betas; samples are those of a variance-preserving process.
    Table {
        /// The schedule's name in this library.
        schedule: Schedule,
        /// The table.
        timesteps: Timesteps,
        /// `epsilon`, `v_prediction` or `sample`; none where the network gives something else.
        prediction: Option<&'static str>,
    },
    /// x = x0 + sigma z for any sigma.
    Sigma {
        /// The deviation of the data, where the network is preconditioned as in EDM.
        sigma_data: Option<f64>,
    },
}

/// The levels and the final 0, separated by commas, in one line: what k-diffusion's functions,
/// ComfyUI's nodes and others take.
pub fn sigmas_line(levels: &Levels) -> String {
    format!("{}\n", numbers(&with_zero(levels)))
}

fn with_zero(levels: &Levels) -> Vec<f64> {
    let zero = std::iter::once(0.0);
    levels.as_slice().iter().copied().chain(zero).collect()
}

/// To the last digit; Python's words for what is no decimal number.
fn number(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        f64::INFINITY => "float(\"inf\")".into(),
        _ => value.to_string(),
    }
}

fn numbers(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(|value| number(*value)).collect();
    values.join(", ")
}

/// A step that diffusers does not have.
enum Own {
    Exponential(Steps),
    SaSolver(Adams),
}

/// SA-Solver of order 2 with a corrector of order 1, in numbers for each level but the last: with
/// a = (1 + tau^2) h and r the step before in steps h,
/// int_0^1 a e^(-a (1 - v)) l(v) dv for the polynomials l that are 1 + v/r and -v/r (H and H_before)
/// and, to correct, v and 1 - v (H at the end and H).
#[derive(Default)]
struct Adams {
    kept: Vec<f64>,
    noise: Vec<f64>,
    predict: [Vec<f64>; 2],
    correct: [Vec<f64>; 2],
}

impl Adams {
    fn new(levels: &Levels, tau: f64) -> Self {
        let mut adams = Self::default();
        let mut before = None;
        for pair in levels.as_slice().windows(2) {
            let h = (pair[0] / pair[1]).ln();
            let a = (1.0 + tau * tau) * h;
            // The integrals of 1 and of v.
            let whole = -(-a).exp_m1();
            let first = 1.0 - whole / a;
            let slope = before.map_or(0.0, |before: f64| first * h / before);
            adams.kept.push((-a).exp());
            adams
                .noise
                .push(pair[1] * (-(-2.0 * tau * tau * h).exp_m1()).sqrt());
            for (list, value) in adams.predict.iter_mut().zip([whole + slope, -slope]) {
                list.push(value);
            }
            for (list, value) in adams.correct.iter_mut().zip([first, whole - first]) {
                list.push(value);
            }
            before = Some(h);
        }
        adams
    }
}

/// How a setting is written with diffusers.
struct Scheduler {
    class: &'static str,
    arguments: &'static [&'static str],
    /// eps_c and c of each step, where the class has no step for them.
    own: Option<Own>,
    /// What is not the same, in lines.
    remarks: Vec<String>,
}

impl Scheduler {
    fn new(class: &'static str, arguments: &'static [&'static str]) -> Self {
        Self {
            class,
            arguments,
            own: None,
            remarks: Vec::new(),
        }
    }

    /// The class to which a step of ours is added.
    fn own(table: bool, own: Own, remark: String) -> Self {
        let class = match table {
            true => "EulerDiscreteScheduler",
            false => "EDMEulerScheduler",
        };
        Self {
            own: Some(own),
            remarks: vec![remark],
            ..Self::new(class, &[])
        }
    }

    /// That for `candidate`, of a network with a table of timesteps or one for any sigma.
    fn of(candidate: &Candidate, table: bool) -> Self {
        const SDE: &[&str] = &["algorithm_type=\"sde-dpmsolver++\"", "solver_order=2"];
        const ODE: &[&str] = &["algorithm_type=\"dpmsolver++\"", "solver_order=2"];
        const ANCESTRAL: &[&str] = &["algorithm_type=\"sde-dpmsolver++\"", "solver_order=1"];
        let multistep = match table {
            true => "DPMSolverMultistepScheduler",
            false => "EDMDPMSolverMultistepScheduler",
        };
        let real = |name: &str| candidate.settings.get(name).and_then(toml::Value::as_float);
        let levels = &candidate.levels;
        match (candidate.sampler, Steps::of(candidate)) {
            (SamplerKind::Cas, Some(_)) if real("eps_c") == Some(1.0) => match table {
                true => {
                    let remark = "EulerDiscreteScheduler also takes the levels by itself: \
                                  scheduler.set_timesteps(sigmas=SIGMAS).";
                    Self {
                        remarks: vec![remark.into()],
                        ..Self::new("EulerDiscreteScheduler", &[])
                    }
                }
                false => Self::new("EDMEulerScheduler", &[]),
            },
            (SamplerKind::Cas, Some(_)) if real("eps_c") == Some(2.0) => match table {
                true => Self::new("EulerAncestralDiscreteScheduler", &[]),
                false => Self::new(multistep, ANCESTRAL),
            },
            (SamplerKind::Cas, Some(steps)) => {
                let eps_c = steps.eps_c[0];
                let remark = format!(
                    "diffusers has no consistent annealed sampling with eps_c = {eps_c}; the nearest \
                     is {}. The class below is the sampler itself.",
                    match (table, eps_c < 1.5) {
                        (true, true) => "EulerDiscreteScheduler (eps_c = 1)",
                        (true, false) => "EulerAncestralDiscreteScheduler (eps_c = 2)",
                        (false, true) => "EDMEulerScheduler (eps_c = 1)",
                        (false, false) =>
                            "EDMDPMSolverMultistepScheduler, sde-dpmsolver++ of order 1 (eps_c = 2)",
                    }
                );
                Self::own(table, Own::Exponential(steps), remark)
            }
            (SamplerKind::Dpmpp2m, _) => Self::new(multistep, ODE),
            (SamplerKind::Dpmpp2mSde, Some(_)) if real("eta") == Some(0.0) => {
                Self::new(multistep, ODE)
            }
            (SamplerKind::Dpmpp2mSde, Some(_)) if real("eta") == Some(1.0) => {
                Self::new(multistep, SDE)
            }
            (SamplerKind::Dpmpp2mSde, Some(steps)) => {
                let eta = steps.eps_c[0] - 1.0;
                let remark = format!(
                    "diffusers has no DPM-Solver++ SDE-2M with eta = {eta:.4}; the nearest is \
                     {multistep} with algorithm_type=\"{}\" (eta = {}). The class below is the \
                     sampler itself; in k-diffusion it is sample_dpmpp_2m_sde with eta={eta} and \
                     solver_type=\"midpoint\".",
                    if eta < 0.5 {
                        "dpmsolver++"
                    } else {
                        "sde-dpmsolver++"
                    },
                    if eta < 0.5 { 0 } else { 1 },
                );
                Self::own(table, Own::Exponential(steps), remark)
            }
            (SamplerKind::Exponential, Some(steps)) => {
                let remark = "diffusers has no solver with an amount of noise and a multistep weight \
                              for each step. The class below is the sampler itself.";
                Self::own(table, Own::Exponential(steps), remark.into())
            }
            (SamplerKind::Heun, _) if table => {
                let mut scheduler = Self::new("HeunDiscreteScheduler", &[]);
                if real("s_churn").unwrap_or(0.0) > 0.0 {
                    let remark = "The recipe adds churn, which diffusers' Heun does not have: this is \
                                  the nearest, Heun without churn.";
                    scheduler.remarks.push(remark.into());
                }
                scheduler
            }
            // With the usual orders, which are those of the search.
            (SamplerKind::SaSolver, _) if candidate.settings.len() == 1 => {
                let tau = real("tau").unwrap_or(1.0);
                let remark = "diffusers' SASolverScheduler is another solver: it adds a term at order \
                              2 and cannot end at 0. The class below is the sampler itself.";
                Self::own(table, Own::SaSolver(Adams::new(levels, tau)), remark.into())
            }
            (kind, _) => {
                let scheduler = match table {
                    true => Self::new("EulerAncestralDiscreteScheduler", &[]),
                    false if kind == SamplerKind::Heun => Self::new(multistep, ODE),
                    false => Self::new(multistep, ANCESTRAL),
                };
                let nearest = match (table, kind) {
                    (false, SamplerKind::Heun) => "DPM-Solver++ 2M, of the same order",
                    _ => "ancestral sampling",
                };
                let remark = format!(
                    "diffusers has no {} for this network; the nearest is {nearest} on the same \
                     levels, below. Measure it before you trust it: the recipe is of another sampler.",
                    kind.label()
                );
                Self {
                    remarks: vec![remark],
                    ..scheduler
                }
            }
        }
    }
}

/// A Python file with a scheduler of diffusers that samples as `candidate` does, or as nearly as
/// diffusers can, which it says. `about` are lines for its head.
pub fn diffusers(candidate: &Candidate, network: &NetworkNoise, about: &[String]) -> String {
    let table = matches!(network, NetworkNoise::Table { .. });
    let scheduler = Scheduler::of(candidate, table);
    let sigmas = candidate.levels.as_slice();
    let mut text = String::from("\"\"\"");
    let mut head = vec![format!("{candidate}.")];
    head.extend(about.iter().cloned());
    head.extend(scheduler.remarks.iter().cloned());
    head.push(match network {
        NetworkNoise::Table { .. } => {
            let arguments: String = scheduler.arguments.iter().map(|a| format!(", {a}")).collect();
            format!(
                "In a pipeline: pipe.scheduler = Tuned.from_config(pipe.scheduler.config{arguments}). \
                 Alone: start from scheduler.init_noise_sigma times noise; for each of \
                 scheduler.timesteps call the network on scheduler.scale_model_input(x, t), and step."
            )
        }
        NetworkNoise::Sigma { .. } => {
            "Start from SIGMAS[0] times noise; for each of scheduler.timesteps call the network on \
             scheduler.scale_model_input(x, t), and step. Timesteps are ln(sigma)/4."
                .into()
        }
    });
    if let NetworkNoise::Table {
        prediction: None, ..
    } = network
    {
        head.push(
            "The network gives neither noise, velocity nor sample: turn its output into the noise."
                .into(),
        );
    }
    if let NetworkNoise::Sigma { sigma_data: None } = network {
        head.push(
            "The network must be called as a denoiser: the noisy sample in, the expected clean one \
             out."
                .into(),
        );
    }
    let head: Vec<String> = head.iter().map(|text| wrapped(text)).collect();
    text += &head.join("\n\n");
    text += "\n\"\"\"\n";
    let class = scheduler.class;
    let _ = writeln!(text, "import torch\nfrom diffusers import {class}");
    if scheduler.own.is_some() {
        text += "from diffusers.utils.torch_utils import randn_tensor\n";
    }
    text += "\n";
    let _ = writeln!(
        text,
        "SIGMAS = [{}]",
        numbers(&with_zero(&candidate.levels))
    );
    let timesteps: Vec<f64> = match network {
        NetworkNoise::Table { timesteps, .. } => {
            sigmas.iter().map(|s| timesteps.timestep(*s)).collect()
        }
        NetworkNoise::Sigma { .. } => sigmas.iter().map(|s| 0.25 * s.ln()).collect(),
    };
    let _ = writeln!(text, "TIMESTEPS = [{}]", numbers(&timesteps));
    match &scheduler.own {
        None => {}
        Some(Own::Exponential(steps)) => {
            let last = steps.levels.len() - 1;
            let mut c = steps.c.clone();
            // Neither the first step, which has none before it, nor the last, to 0, looks back.
            (c[0], c[last]) = (0.0, 0.0);
            let _ = writeln!(text, "EPS_C = [{}]", numbers(&steps.eps_c));
            let _ = writeln!(text, "C = [{}]", numbers(&c));
        }
        Some(Own::SaSolver(adams)) => {
            let [now, before] = &adams.predict;
            let [end, start] = &adams.correct;
            for (name, list) in [
                ("KEPT", &adams.kept),
                ("NOISE", &adams.noise),
                ("PREDICT", now),
                ("PREDICT_BEFORE", before),
                ("CORRECT", end),
                ("CORRECT_BEFORE", start),
            ] {
                let _ = writeln!(text, "{name} = [{}]", numbers(list));
            }
        }
    }
    let _ = write!(
        text,
        "\n\nclass Tuned({class}):\n    # Whatever is asked for, the levels are these.\n    \
         def set_timesteps(self, num_inference_steps=None, device=None, *args, **kwargs):\n        \
         super().set_timesteps(len(TIMESTEPS), device=device)\n"
    );
    text += match class {
        // Each level but the first and the last is called twice.
        "HeunDiscreteScheduler" => {
            "        sigmas, timesteps = torch.tensor(SIGMAS), torch.tensor(TIMESTEPS)\n        \
             self.sigmas = torch.cat([sigmas[:1], sigmas[1:-1].repeat_interleave(2), sigmas[-1:]])\n        \
             timesteps = torch.cat([timesteps[:1], timesteps[1:].repeat_interleave(2)])\n        \
             self.timesteps = timesteps.to(device)\n"
        }
        _ => {
            "        self.sigmas = torch.tensor(SIGMAS)\n        \
             self.timesteps = torch.tensor(TIMESTEPS, device=device)\n"
        }
    };
    let start = match class {
        // Its samples are those of the variance-preserving process.
        "DPMSolverMultistepScheduler" => "SIGMAS[0] / (1 + SIGMAS[0] ** 2) ** 0.5",
        _ => "SIGMAS[0]",
    };
    let _ = write!(
        text,
        "\n    init_noise_sigma = property(lambda self: {start}, lambda self, value: None)\n"
    );
    if let NetworkNoise::Sigma { sigma_data: None } = network {
        text += "\n    def precondition_inputs(self, sample, sigma):\n        return sample\n\n    \
                 def precondition_outputs(self, sample, model_output, sigma):\n        \
                 return model_output\n";
    }
    match &scheduler.own {
        None => {}
        Some(Own::Exponential(_)) => text += EXPONENTIAL,
        Some(Own::SaSolver(_)) => text += SA_SOLVER,
    }
    let mut arguments = network.arguments();
    arguments.extend(scheduler.arguments.iter().map(|a| (*a).to_owned()));
    let _ = writeln!(text, "\n\nscheduler = Tuned({})", arguments.join(", "));
    text += "scheduler.set_timesteps()\n";
    text
}

/// `text` in lines of at most 96 characters.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 96;
    let (mut out, mut width) = (String::new(), 0);
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.len() > WIDTH {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out += word;
        width += word.len();
    }
    out
}

/// A step of `exponential`, in Python.
const EXPONENTIAL: &str = r#"
    # x' = kept x + (1 - kept)(D + c (D - D_before)) + sqrt(sigma'^2 - kept^2 sigma^2) z
    def step(self, model_output, timestep, sample, generator=None, return_dict=True, **kwargs):
        output = super().step(model_output, timestep, sample)
        denoised = output.pred_original_sample
        i = self.step_index - 1
        sigma, following = SIGMAS[i], SIGMAS[i + 1]
        kept = (following / sigma) ** EPS_C[i]
        ahead = denoised if C[i] == 0 else denoised + C[i] * (denoised - self.before)
        self.before = denoised
        prev_sample = kept * sample + (1 - kept) * ahead
        deviation = max(following**2 - (kept * sigma) ** 2, 0) ** 0.5
        if deviation > 0:
            noise = randn_tensor(
                sample.shape, generator=generator, device=sample.device, dtype=sample.dtype
            )
            prev_sample = prev_sample + deviation * noise
        output.prev_sample = prev_sample
        return output if return_dict else (prev_sample,)
"#;

/// A step of `sa-solver`, in Python.
const SA_SOLVER: &str = r#"
    # Corrects the step that led here, now that D at its end is known; then predicts the next.
    def step(self, model_output, timestep, sample, generator=None, return_dict=True, **kwargs):
        output = super().step(model_output, timestep, sample)
        denoised = output.pred_original_sample
        i = self.step_index - 1
        if i == len(KEPT):
            return output if return_dict else (output.prev_sample,)
        if i > 0:
            sample = self.base + CORRECT[i - 1] * denoised + CORRECT_BEFORE[i - 1] * self.before
        self.base = KEPT[i] * sample
        if NOISE[i] > 0:
            noise = randn_tensor(
                sample.shape, generator=generator, device=sample.device, dtype=sample.dtype
            )
            self.base = self.base + NOISE[i] * noise
        prev_sample = self.base + PREDICT[i] * denoised
        if i > 0:
            prev_sample = prev_sample + PREDICT_BEFORE[i] * self.before
        self.before = denoised
        output.prev_sample = prev_sample
        return output if return_dict else (prev_sample,)
"#;

impl NetworkNoise {
    /// That of a run.
    ///
    /// # Errors
    /// Where its noise is not complete.
    pub fn of(config: &Config) -> Result<Self> {
        let form = config.network.parameterisation();
        let prediction = match form.output {
            Preconditioning::Eps => Some("epsilon"),
            Preconditioning::V => Some("v_prediction"),
            Preconditioning::X0 => Some("sample"),
            Preconditioning::Score | Preconditioning::ScaledScore | Preconditioning::Edm => None,
        };
        let edm = form.output == Preconditioning::Edm && form.input == InputScaling::Edm;
        Ok(
            match (config.training_noise()?, config.noise.distribution) {
                (TrainingNoise::Timesteps(timesteps), NoiseKind::Uniform(schedule))
                    if form.input == InputScaling::Vp =>
                {
                    Self::Table {
                        schedule,
                        timesteps,
                        prediction,
                    }
                }
                _ => Self::Sigma {
                    sigma_data: edm.then_some(form.sigma_data),
                },
            },
        )
    }

    /// The arguments that say what the network was trained on.
    fn arguments(&self) -> Vec<String> {
        match self {
            Self::Sigma { sigma_data } => sigma_data
                .iter()
                .map(|sigma_data| format!("sigma_data={sigma_data}"))
                .collect(),
            Self::Table {
                schedule,
                timesteps,
                prediction,
            } => {
                let betas = timesteps.betas();
                let (first, last) = (betas[0], betas[betas.len() - 1]);
                let mut arguments = vec![format!("num_train_timesteps={}", betas.len())];
                match schedule {
                    Schedule::Ddpm => arguments.push(format!(
                        "beta_schedule=\"linear\", beta_start={first}, beta_end={last}"
                    )),
                    Schedule::ScaledLinear => arguments.push(format!(
                        "beta_schedule=\"scaled_linear\", beta_start={first}, beta_end={last}"
                    )),
                    Schedule::Cosine => {
                        arguments.push("beta_schedule=\"squaredcos_cap_v2\"".into())
                    }
                    _ => arguments.push(format!("trained_betas=[{}]", numbers(betas))),
                }
                arguments.push(format!(
                    "prediction_type=\"{}\"",
                    prediction.unwrap_or("epsilon")
                ));
                arguments
            }
        }
    }
}
