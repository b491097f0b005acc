//! Levels by a dynamic programme on trajectories.
//!
//! Chen et al. 2024, "On the trajectory regularity of ODE-based diffusion sampling" (GITS). A few
//! trajectories of the probability flow are solved on a fine grid. The jump from level i to j by one
//! Euler step,
//!
//! x_ij = x_i + (sigma_j - sigma_i) (x_i - D_i)/sigma_i,
//!
//! costs the mean deviation c_ij = E||x_ij - x_j|| from the trajectory; no network call is needed for
//! any of the jumps. The levels are those of least total cost,
//!
//! V_k(i) = min_{j > i} c_ij + gamma V_{k-1}(j),
//!
//! gamma = 1 being the plain sum; theirs weights later jumps by a gamma of its own. As here a sample
//! ends with its expected denoised sample, the data (sigma = 0) are the last node, and the lowest
//! level is chosen with the others.

use std::ops::{ControlFlow, Range};

use tweedie::noise::{Level, Levels};
use tweedie::random::NoiseSource;
use tweedie::run::{Model, SampleConfig};
use tweedie::sample::{Observer, Sampler, SamplerKind, StepView};
use tweedie::score::Denoiser;
use tweedie::{Error, Result};

/// Trajectories of the probability flow on a fine grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Trajectories {
    levels: Levels,
    dim: usize,
    /// x at each level, each `[n, dim]`, and at the data.
    x: Vec<Vec<f64>>,
    /// D at each level, each `[n, dim]`.
    denoised: Vec<Vec<f64>>,
    evaluations: u64,
}

/// Trajectories at a time.
const BATCH: u64 = 64;

/// Writes a batch's trajectories behind those known.
struct Recorder<'a> {
    x: &'a mut [Vec<f64>],
    denoised: &'a mut [Vec<f64>],
}

impl Recorder<'_> {
    /// In the data's units.
    fn keep(&mut self, place: usize, level: Level, x: &[f64]) {
        if let Some(kept) = self.x.get_mut(place) {
            kept.extend(x.iter().map(|x| x / level.alpha));
        }
    }
}

impl Observer for Recorder<'_> {
    fn start(&mut self, level: Level, x: &[f64], _: usize) {
        self.keep(0, level, x);
    }

    fn step(&mut self, view: &StepView<'_>) -> ControlFlow<()> {
        self.keep(view.step + 1, view.to, view.x);
        if let Some(kept) = self.denoised.get_mut(view.step) {
            kept.extend_from_slice(view.denoised);
        }
        ControlFlow::Continue(())
    }
}

impl Trajectories {
    /// Their number and their network calls, as GITS has them.
    pub const USUAL: (u64, usize) = (256, 60);

    /// Those of `denoiser` from the starts numbered `seeds` of `source`, through `levels`.
    ///
    /// # Errors
    /// Those of [`tweedie::sample::run`].
    pub fn of_denoiser(
        denoiser: &dyn Denoiser,
        levels: Levels,
        source: &NoiseSource,
        seeds: Range<u64>,
    ) -> Result<Self> {
        Self::collect(levels, denoiser.dim(), seeds, |sampler, seeds, recorder| {
            let samples: Vec<u64> = seeds.collect();
            let found = tweedie::sample::run(denoiser, sampler, source, &samples, recorder)?;
            Ok(found.evaluations)
        })
    }

    /// Those of a run's network, with what `sample` says of classes, guidance and clipping, for the
    /// samples numbered `seeds`.
    ///
    /// # Errors
    /// Those of [`Model::run_by`].
    pub fn of_run(
        model: &Model,
        sample: &SampleConfig,
        levels: Levels,
        seeds: Range<u64>,
    ) -> Result<Self> {
        let dim = model.denoiser().dim();
        Self::collect(levels, dim, seeds, |sampler, seeds, recorder| {
            let found = model.run_by(sampler, sample, seeds, recorder)?;
            Ok(found.evaluations)
        })
    }

    /// By DPM-Solver++ 2M: one call a level, and of second order.
    fn collect(
        levels: Levels,
        dim: usize,
        seeds: Range<u64>,
        mut run: impl FnMut(&mut dyn Sampler, Range<u64>, &mut Recorder<'_>) -> Result<Vec<u32>>,
    ) -> Result<Self> {
        let mut found = Self {
            dim,
            x: vec![Vec::new(); levels.len() + 1],
            denoised: vec![Vec::new(); levels.len()],
            evaluations: 0,
            levels,
        };
        let mut first = seeds.start;
        while first < seeds.end {
            let last = seeds.end.min(first + BATCH);
            let mut sampler = SamplerKind::Dpmpp2m.sampler(&toml::Table::new(), &found.levels)?;
            let mut recorder = Recorder {
                x: &mut found.x,
                denoised: &mut found.denoised,
            };
            let evaluations = run(sampler.as_mut(), first..last, &mut recorder)?;
            found.evaluations += evaluations.iter().map(|&n| u64::from(n)).sum::<u64>();
            first = last;
        }
        Ok(found)
    }

    /// Network evaluations that they took.
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// The cost of every jump.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where a trajectory is not.
    pub fn deviations(&self) -> Result<Deviations> {
        let sigmas = self.levels.as_slice();
        let nodes = sigmas.len() + 1;
        let mut costs = vec![f64::INFINITY; sigmas.len() * nodes];
        for (from, (x, denoised)) in self.x.iter().zip(&self.denoised).enumerate() {
            for to in from + 1..nodes {
                let sigma = sigmas.get(to).copied().unwrap_or(0.0);
                let ratio = sigma / sigmas[from];
                let rows = x
                    .chunks_exact(self.dim)
                    .zip(denoised.chunks_exact(self.dim));
                let pairs = rows.zip(self.x[to].chunks_exact(self.dim));
                let total: f64 = pairs
                    .map(|((x, d), teacher)| {
                        let step = x.iter().zip(d).map(|(x, d)| ratio * x + (1.0 - ratio) * d);
                        let squares = step.zip(teacher).map(|(x, teacher)| (x - teacher).powi(2));
                        squares.sum::<f64>().sqrt()
                    })
                    .sum();
                costs[from * nodes + to] = total / (x.len() / self.dim).max(1) as f64;
            }
        }
        Deviations::new(self.levels.clone(), costs)
    }
}

/// What each jump between the levels of a fine grid costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Deviations {
    levels: Levels,
    /// Row-major `[L, L + 1]`: from each level to each, and to the data. Jumps upwards are not looked
    /// at.
    costs: Vec<f64>,
}

impl Deviations {
    /// Of jumps between `levels`: `costs` `[L, L + 1]`, the last column to the data.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of them; [`Error::Setting`] for a jump downwards whose
    /// cost is NaN or infinite.
    pub fn new(levels: Levels, costs: Vec<f64>) -> Result<Self> {
        let nodes = levels.len() + 1;
        if costs.len() != levels.len() * nodes {
            return Err(Error::Shape {
                what: "the costs of the jumps".into(),
                expected: vec![levels.len(), nodes],
                found: vec![costs.len()],
            });
        }
        for (place, cost) in costs.iter().enumerate() {
            if place % nodes > place / nodes && !cost.is_finite() {
                let reason = "is the cost of a jump; it must be finite";
                return Err(Error::setting("deviation", cost, reason));
            }
        }
        Ok(Self { levels, costs })
    }

    /// The cost of the jump from level `from` to level `to`, or to the data.
    pub fn cost(&self, from: usize, to: usize) -> f64 {
        self.costs[from * (self.levels.len() + 1) + to]
    }

    /// The `count` levels, the first of the fine grid among them, whose jumps cost least; later jumps
    /// count `gamma` times more each.
    ///
    /// # Errors
    /// [`Error::Setting`] unless there are 1 to L levels and gamma is positive and finite.
    pub fn levels(&self, count: usize, gamma: f64) -> Result<Levels> {
        let fine = self.levels.len();
        if !(1..=fine).contains(&count) {
            let reason = format!("must be 1 to {fine}, the levels of the trajectories");
            return Err(Error::setting("levels", count, reason));
        }
        if !(gamma > 0.0 && gamma.is_finite()) {
            return Err(Error::setting(
                "gamma",
                gamma,
                "must be positive and finite",
            ));
        }
        // V_k(i), and where it goes next.
        let mut value: Vec<f64> = (0..fine).map(|i| self.cost(i, fine)).collect();
        let mut next: Vec<Vec<usize>> = Vec::with_capacity(count);
        for _ in 1..count {
            let best = (0..fine).map(|i| {
                let ways = (i + 1..fine).map(|j| (self.cost(i, j) + gamma * value[j], j));
                ways.min_by(|a, b| a.0.total_cmp(&b.0))
                    .unwrap_or((f64::INFINITY, fine))
            });
            let (values, places) = best.unzip();
            value = values;
            next.push(places);
        }
        let mut place = 0;
        let mut sigmas = vec![self.levels.first()];
        for next in next.iter().rev() {
            place = next[place];
            sigmas.push(self.levels.as_slice()[place]);
        }
        Levels::new(sigmas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie::random::Stream;
    use tweedie::score::GaussianMixture;

    /// Every choice of `count` of the levels, the first among them, by trying.
    fn by_force(deviations: &Deviations, count: usize, gamma: f64) -> Vec<usize> {
        let fine = deviations.levels.len();
        let choices = (0..1u32 << fine)
            .filter(|bits| bits & 1 == 1 && bits.count_ones() as usize == count)
            .map(|bits| (0..fine).filter(|i| bits >> i & 1 == 1).collect::<Vec<_>>());
        let cost = |choice: &Vec<usize>| {
            let ends = choice.iter().skip(1).copied().chain([fine]);
            let jumps = choice.iter().zip(ends).enumerate();
            jumps
                .map(|(k, (&i, j))| gamma.powi(k as i32) * deviations.cost(i, j))
                .sum::<f64>()
        };
        choices.min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap()
    }

    #[test]
    fn the_programme_finds_what_trying_everything_finds() {
        let source = NoiseSource::new(3, Stream::Data);
        let levels = Levels::geometric(5.0, 0.01, 9).unwrap();
        for case in 0..20 {
            let costs = (0..90).map(|k| source.uniform(case, k, 0));
            let deviations = Deviations::new(levels.clone(), costs.collect()).unwrap();
            for gamma in [1.0, 1.15, 0.8] {
                for count in 1..=9 {
                    let found = deviations.levels(count, gamma).unwrap();
                    let places = by_force(&deviations, count, gamma);
                    let forced: Vec<f64> = places.iter().map(|&i| levels.as_slice()[i]).collect();
                    assert_eq!(found.as_slice(), forced, "{case} {gamma} {count}");
                }
            }
        }
        let deviations = Deviations::new(levels.clone(), vec![1.0; 90]).unwrap();
        assert!(deviations.levels(0, 1.0).is_err() && deviations.levels(10, 1.0).is_err());
        assert!(deviations.levels(3, 0.0).is_err());
        assert!(Deviations::new(levels.clone(), vec![1.0; 81]).is_err());
        assert!(Deviations::new(levels, vec![f64::NAN; 90]).is_err());
    }

    /// Of N(0, s^2 I), with sigma = s tan theta, the flow keeps x cos(theta), and an Euler step from
    /// theta to theta' leaves it by (1 - cos(theta - theta'))/cos(theta') of x cos(theta).
    #[test]
    fn on_a_gaussian_a_jump_costs_what_the_closed_form_says() {
        let (s, dim) = (0.7f64, 3);
        let denoiser = GaussianMixture::gaussian(vec![0.0; dim], s * s).unwrap();
        let levels = Levels::karras(10.0, 0.02, 200, 7.0).unwrap();
        let source = NoiseSource::new(0, Stream::Sampling);
        let found = Trajectories::of_denoiser(&denoiser, levels.clone(), &source, 0..100).unwrap();
        assert_eq!(found.evaluations(), 100 * 200);
        let angles: Vec<f64> = levels
            .as_slice()
            .iter()
            .map(|sigma| (sigma / s).atan())
            .collect();
        let radii = found.x[0].chunks(dim).map(|x| {
            let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            norm * angles[0].cos()
        });
        let radius = radii.sum::<f64>() / 100.0;
        let exact = |from: usize, to: usize| {
            let there = angles.get(to).copied().unwrap_or(0.0);
            radius * (1.0 - (angles[from] - there).cos()) / there.cos()
        };
        let deviations = found.deviations().unwrap();
        // Long jumps: those of a step or two are of the size of the teacher's own error.
        for from in (0..200).step_by(20) {
            for to in (from + 20..=200).step_by(20) {
                let (found, exact) = (deviations.cost(from, to), exact(from, to));
                let scale = angles.get(to).map_or(1.0, |angle| 1.0 / angle.cos()) * radius;
                assert!(
                    (found - exact).abs() < 5e-4 * scale,
                    "{from} {to}: {found} {exact}"
                );
            }
        }
        // And so are the levels, where the exact costs give them.
        let costs = (0..200).flat_map(|i| (0..=200).map(move |j| (i, j)));
        let costs = costs.map(|(i, j)| exact(i, j)).collect();
        let closed = Deviations::new(levels, costs).unwrap();
        for count in [4, 8, 16] {
            let total = |levels: &Levels| {
                let place = |sigma: &f64| closed.levels.as_slice().iter().position(|s| s == sigma);
                let places: Vec<usize> = levels.as_slice().iter().filter_map(place).collect();
                let ends = places.iter().skip(1).copied().chain([200]);
                places
                    .iter()
                    .zip(ends)
                    .map(|(&i, j)| exact(i, j))
                    .sum::<f64>()
            };
            let found = total(&deviations.levels(count, 1.0).unwrap());
            let best = total(&closed.levels(count, 1.0).unwrap());
            assert!(found < 1.005 * best, "{count}: {found} {best}");
        }
    }
}
