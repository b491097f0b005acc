//! The settings that are searched: a unit cube, and what its points mean.

use toml::{Table, Value};
use tweedie::Result;
use tweedie::noise::{Levels, LossCurve, LossSchedule};
use tweedie::sample::SamplerKind;

use crate::{Candidate, Grid};

/// The axes of a [`Point`]: sampler, amount of noise, grid, the grid's exponent, sigma_max,
/// sigma_min, how the amount of noise changes with the level, the weight of guidance.
pub const AXES: usize = 8;

/// A point of the unit cube.
pub type Point = [f64; AXES];

/// A family of samplers with one amount of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solver {
    /// Consistent annealed sampling by eps_c: 1 is DDIM, 2 ancestral sampling.
    Cas,
    /// DPM-Solver++ SDE-2M by eta; 0 is the deterministic 2M.
    DpmSolverSde,
    /// SA-Solver by tau.
    SaSolver,
    /// EDM's Heun by its churn.
    Heun,
    /// Annealed Langevin sampling by eta.
    Als,
    /// Predictor-corrector with CAS's corrector by its eta.
    Pc,
}

/// Samplers, grids and the range of noise between which the best setting is sought.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// The families.
    pub solvers: Vec<Solver>,
    /// The highest level that the denoiser knows.
    pub sigma_max: f64,
    /// The lowest.
    pub sigma_min: f64,
    /// The denoising loss by noise level; without it, grids by the loss are not searched.
    pub curve: Option<LossCurve>,
    /// The largest weight of classifier-free guidance that is searched, above 1; none for networks
    /// without classes, and where the weight is given.
    pub most_guidance: Option<f64>,
    /// Axes that are not searched, each with its place.
    pub fixed: [Option<f64>; AXES],
}

/// The parts of the axis of grids.
pub(crate) const GRIDS: usize = 8;
/// Where each has its place among them; Karras's has three parts, the loss curve's two.
const KARRAS: usize = 1;
const GEOMETRIC: usize = 3;
const MSE_DP: usize = 4;
const ENTROPIC: usize = 5;
const LOSS_CURVE: usize = 6;
/// Below this share of an axis is its end: no noise at all, the lowest sigma_min.
const END: f64 = 0.12;
/// eps_c - 1 where its axis begins and ends.
const EPS_C: (f64, f64) = (0.05, 15.0);
/// eta of SDE-2M and tau of SA-Solver at most.
const MOST_NOISE: f64 = 1.6;
/// The churn of a step at most, as EDM bounds it.
const MOST_CHURN: f64 = std::f64::consts::SQRT_2 - 1.0;
/// ALS's eta.
const ALS: (f64, f64) = (3e-3, 1.0);
/// Exponents of Karras's grid.
const RHO: (f64, f64) = (1.5, 14.0);
/// The exponent of mse-dp at most.
const MOST_P: f64 = 3.0;
/// sigma_max is searched down to this share.
const LOWEST_MAX: f64 = 0.25;
/// The part of its axis, about the middle, in which the amount of noise is the same at all levels.
const EVEN: f64 = 0.5;
/// By how much the amount of noise at the highest level may exceed that at the lowest, or fall short
/// of it.
const MOST_TILT: f64 = 16.0;

/// Between `from` and `to` by ratios, and back.
fn geometric((from, to): (f64, f64), u: f64) -> f64 {
    from * (to / from).powf(u)
}

fn geometric_place((from, to): (f64, f64), value: f64) -> f64 {
    ((value / from).ln() / (to / from).ln()).clamp(0.0, 1.0)
}

/// The part of an axis above its end, 0 at the end itself.
fn beyond_end(u: f64) -> Option<f64> {
    (u >= END).then(|| (u - END) / (1.0 - END))
}

fn above_end(share: f64) -> f64 {
    END + share * (1.0 - END)
}

impl Space {
    /// All families between `sigma_max` and `sigma_min`.
    pub fn new([sigma_max, sigma_min]: [f64; 2]) -> Self {
        Self {
            solvers: vec![
                Solver::Cas,
                Solver::DpmSolverSde,
                Solver::SaSolver,
                Solver::Heun,
                Solver::Als,
                Solver::Pc,
            ],
            sigma_max,
            sigma_min,
            curve: None,
            most_guidance: None,
            fixed: [None; AXES],
        }
    }

    /// `point` with the fixed axes in their places.
    fn within(&self, point: &Point) -> Point {
        std::array::from_fn(|axis| self.fixed[axis].unwrap_or(point[axis]))
    }

    /// The highest sigma_min that is searched: halfway to sigma_max, by ratios.
    fn highest_min(&self) -> f64 {
        (self.sigma_min * self.sigma_max).sqrt()
    }

    /// The grid at `u` of its axis. Without a curve the upper half is geometric; with one it is the
    /// loss's.
    fn part_of_grid(&self, u: f64) -> usize {
        match (place(u, GRIDS), &self.curve) {
            (0..=2, _) => KARRAS,
            (GEOMETRIC, _) | (_, None) => GEOMETRIC,
            (part @ (MSE_DP | ENTROPIC), _) => part,
            _ => LOSS_CURVE,
        }
    }

    /// The candidate at `point`, for at most `calls` network calls of a sample.
    ///
    /// # Errors
    /// Where so few calls are not feasible, or no levels follow from the loss.
    pub fn candidate(&self, point: &Point, calls: usize) -> Result<Candidate> {
        let [solver, amount, grid, exponent, max, min, tilt, guidance] = self.within(point);
        let solver = self.solvers[place(solver, self.solvers.len())];
        let by_loss = |schedule| Grid::Loss {
            schedule,
            p: match schedule {
                LossSchedule::MseDp => MOST_P * exponent,
                _ => 1.0,
            },
        };
        let grid = match self.part_of_grid(grid) {
            KARRAS => Grid::Karras {
                rho: geometric(RHO, exponent),
            },
            MSE_DP => by_loss(LossSchedule::MseDp),
            ENTROPIC => by_loss(LossSchedule::Entropic),
            LOSS_CURVE => by_loss(LossSchedule::LossCurve),
            _ => Grid::Geometric,
        };
        let sigma_max = match beyond_end(1.0 - max) {
            None => self.sigma_max,
            Some(share) => self.sigma_max * geometric((1.0, LOWEST_MAX), share),
        };
        let sigma_min = match beyond_end(min) {
            None => self.sigma_min,
            Some(share) => geometric((self.sigma_min, self.highest_min()), share),
        };
        let guidance = self.most_guidance.map(|most| match beyond_end(guidance) {
            None => 1.0,
            Some(share) => geometric((1.0, most), share),
        });
        // Guidance takes the network twice.
        let calls = match guidance {
            Some(weight) if weight != 1.0 => calls / 2,
            _ => calls,
        };
        let (sampler, settings) = solver.with_amount(amount, calls);
        let count = sampler.levels_for(&settings, calls)?;
        let levels = grid.levels(sigma_max, sigma_min, count, self.curve.as_ref())?;
        let (sampler, settings) = tilted(sampler, settings, tilt_of(tilt), &levels);
        Ok(Candidate {
            levels,
            sampler,
            grid,
            denoise: true,
            settings,
            guidance,
        })
    }

    /// The point that means the same as `point`, with every axis that makes no difference there at one
    /// place: a model of what was measured must not take settings for different that are the same.
    pub fn essential(&self, point: &Point) -> Point {
        let [solver, amount, grid, exponent, max, min, tilt, guidance] = self.within(point);
        let kind = self.solvers[place(solver, self.solvers.len())];
        let centre = |u: f64, parts: usize| (place(u, parts) as f64 + 0.5) / parts as f64;
        let or_end = |u: f64| beyond_end(u).map_or(0.0, |_| u);
        let amount = match kind {
            Solver::Als | Solver::Pc => amount,
            _ => or_end(amount),
        };
        let grid = self.part_of_grid(grid);
        let exponent = match grid {
            KARRAS | MSE_DP => exponent,
            _ => 0.5,
        };
        let tilts = matches!(kind, Solver::Cas | Solver::DpmSolverSde) && amount > 0.0;
        let tilt = match tilts && tilt_of(tilt) != 0.0 {
            true => tilt,
            false => 0.5,
        };
        [
            centre(solver, self.solvers.len()),
            amount,
            middle_of_grid(grid),
            exponent,
            beyond_end(1.0 - max).map_or(1.0, |_| max),
            or_end(min),
            tilt,
            self.most_guidance.map_or(0.0, |_| or_end(guidance)),
        ]
    }

    /// The point of `solver` with its `amount` of noise (eps_c, eta, tau or churn) on `grid` over the
    /// whole range of noise; none where the family or the grid is not searched.
    pub fn point(&self, solver: Solver, amount: f64, grid: Grid) -> Option<Point> {
        let found = self.solvers.iter().position(|known| *known == solver)?;
        let solver_axis = (found as f64 + 0.5) / self.solvers.len() as f64;
        let amount = solver.place_of(amount);
        let (grid, exponent) = match grid {
            Grid::Karras { rho } => (KARRAS, geometric_place(RHO, rho)),
            Grid::Geometric => (GEOMETRIC, 0.5),
            Grid::Loss { schedule, p } => match schedule {
                LossSchedule::MseDp => (MSE_DP, (p / MOST_P).clamp(0.0, 1.0)),
                LossSchedule::Entropic => (ENTROPIC, 0.5),
                LossSchedule::LossCurve => (LOSS_CURVE, 0.5),
            },
            // Rivals' grids, which are not searched.
            Grid::AlignYourSteps { .. } | Grid::Trajectory | Grid::Listed => return None,
        };
        let grid = middle_of_grid(grid);
        Some([solver_axis, amount, grid, exponent, 1.0, 0.0, 0.5, 0.0])
    }

    /// Settings that people use: every search begins with them.
    pub fn usual(&self) -> Vec<Point> {
        let (karras, geometric) = (Grid::Karras { rho: 7.0 }, Grid::Geometric);
        let all = [
            self.point(Solver::Cas, 1.0, geometric),
            self.point(Solver::Cas, 1.5, geometric),
            self.point(Solver::Cas, 2.0, geometric),
            self.point(Solver::DpmSolverSde, 0.0, karras),
            self.point(Solver::DpmSolverSde, 1.0, karras),
            self.point(Solver::SaSolver, 1.0, karras),
            self.point(Solver::Heun, 0.0, karras),
            self.point(Solver::Als, 0.3, geometric),
        ];
        all.into_iter().flatten().collect()
    }
}

/// The logarithm of the amount of noise at the highest level less that at the lowest, at `u` of its
/// axis.
fn tilt_of(u: f64) -> f64 {
    let (beyond, most) = (2.0 * u - 1.0, MOST_TILT.ln());
    let share = (beyond.abs() - EVEN).max(0.0) / (1.0 - EVEN);
    most * share.copysign(beyond)
}

/// `sampler` with its amount of noise changing along `levels`: ln(eps_c - 1) is linear in ln sigma,
/// with `tilt` between its ends and the amount given in the middle. Of the samplers that are
/// exponential integrators; others, and those without noise, stay as they are.
fn tilted(
    sampler: SamplerKind,
    settings: Table,
    tilt: f64,
    levels: &Levels,
) -> (SamplerKind, Table) {
    let of = |name: &str| settings.get(name).and_then(Value::as_float);
    let (excess, multistep) = match sampler {
        SamplerKind::Cas => (of("eps_c").map(|eps_c| eps_c - 1.0), Some(0.0)),
        SamplerKind::Dpmpp2mSde => (of("eta"), None),
        _ => (None, None),
    };
    let Some(excess) = excess.filter(|excess| *excess > 0.0 && tilt != 0.0) else {
        return (sampler, settings);
    };
    let (top, bottom) = (levels.first().ln(), levels.last().ln());
    let eps_c = levels.as_slice().iter().map(|sigma| {
        let share = match top > bottom {
            true => (sigma.ln() - bottom) / (top - bottom),
            false => 0.5,
        };
        Value::from(1.0 + excess * (tilt * (share - 0.5)).exp())
    });
    let mut settings = Table::from_iter([("eps_c".to_owned(), Value::Array(eps_c.collect()))]);
    settings.extend(multistep.map(|c| ("c".to_owned(), Value::from(c))));
    (SamplerKind::Exponential, settings)
}

/// The middle of a grid's part of the axis.
fn middle_of_grid(part: usize) -> f64 {
    (part as f64 + 0.5) / GRIDS as f64
}

/// Which of `count` equal parts of the axis `u` lies in.
fn place(u: f64, count: usize) -> usize {
    ((u * count as f64) as usize).min(count - 1)
}

impl Solver {
    /// The sampler with the amount of noise at `u` of its axis.
    fn with_amount(self, u: f64, calls: usize) -> (SamplerKind, Table) {
        let share = beyond_end(u);
        let noise = share.map_or(0.0, |share| MOST_NOISE * share);
        let one =
            |name: &str, value: f64| Table::from_iter([(name.to_owned(), Value::from(value))]);
        match self {
            Self::Cas => {
                let eps_c = share.map_or(1.0, |share| 1.0 + geometric(EPS_C, share));
                (SamplerKind::Cas, one("eps_c", eps_c))
            }
            Self::DpmSolverSde => (SamplerKind::Dpmpp2mSde, one("eta", noise)),
            Self::SaSolver => (SamplerKind::SaSolver, one("tau", noise)),
            Self::Heun => {
                // The churn of a step is S_churn/N.
                let levels = calls.div_ceil(2) as f64;
                let churn = share.map_or(0.0, |share| MOST_CHURN * share);
                (SamplerKind::Heun, one("s_churn", churn * levels))
            }
            Self::Als => (SamplerKind::Als, one("eta", geometric(ALS, u))),
            Self::Pc => {
                let mut settings = one("eta", geometric(ALS, u));
                settings.insert("corrector".into(), "cas".into());
                (SamplerKind::Pc, settings)
            }
        }
    }

    /// Where `amount` lies on the axis.
    fn place_of(self, amount: f64) -> f64 {
        match self {
            Self::Cas if amount <= 1.0 => 0.0,
            Self::Cas => above_end(geometric_place(EPS_C, amount - 1.0)),
            Self::Als | Self::Pc => geometric_place(ALS, amount),
            _ if amount <= 0.0 => 0.0,
            Self::Heun => above_end((amount / MOST_CHURN).min(1.0)),
            Self::DpmSolverSde | Self::SaSolver => above_end((amount / MOST_NOISE).min(1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_a_candidate_that_is_feasible_within_its_calls() {
        let levels = tweedie::noise::Levels::geometric(20.0, 0.01, 40).unwrap();
        let curve = LossCurve::exact(&levels, |sigma| sigma * sigma / (1.0 + sigma * sigma));
        let space = Space {
            curve: Some(curve.unwrap()),
            ..Space::new([20.0, 0.01])
        };
        let guided = Space {
            most_guidance: Some(4.0),
            ..space.clone()
        };
        let mut kinds = std::collections::HashSet::new();
        for (space, least) in [(&space, 3), (&guided, 6)] {
            for calls in [least, 8, 33, 128] {
                for i in 0..300 {
                    let point = std::array::from_fn(|axis| {
                        f64::from(sobol_burley::sample(i, axis as u32, 1))
                    });
                    let candidate = space.candidate(&point, calls).unwrap();
                    let sampler = candidate.sampler();
                    let made = sampler.unwrap_or_else(|e| panic!("{candidate} at {calls}: {e}"));
                    let each = match candidate.guidance {
                        None | Some(1.0) => 1,
                        Some(_) => 2,
                    };
                    let made = each * made.calls().unwrap();
                    assert!(made <= calls && made > calls / 3 - each, "{candidate}");
                    kinds.insert((candidate.sampler, candidate.guidance.map(|w| w > 1.0)));
                    let essential = space.essential(&point);
                    assert_eq!(space.candidate(&essential, calls).unwrap(), candidate);
                    assert_eq!(space.essential(&essential), essential);
                    let all = |point: &Point| space.essential(point);
                    assert!(space.usual().iter().all(|point| all(point) == *point));
                }
            }
        }
        // Every family, with a slope of the noise too; guided and not.
        assert_eq!(kinds.len(), 3 * 7);
    }

    #[test]
    fn the_amount_of_noise_changes_along_the_levels() {
        let space = Space::new([20.0, 0.01]);
        let mut point = space.point(Solver::Cas, 1.5, Grid::Geometric).unwrap();
        let even = space.candidate(&point, 9).unwrap();
        assert_eq!(even.sampler, SamplerKind::Cas);
        for (u, top, bottom) in [(1.0, 4.0, 0.25), (0.0, 0.25, 4.0)] {
            point[6] = u;
            let found = space.candidate(&point, 9).unwrap();
            assert_eq!(found.sampler, SamplerKind::Exponential);
            let eps_c = found.settings["eps_c"].as_array().unwrap();
            let excess = |i: usize| eps_c[i].as_float().unwrap() - 1.0;
            for (i, factor) in [(0, top), (4, 1.0), (8, bottom)] {
                assert!((excess(i) - 0.5 * factor).abs() < 1e-12, "{u} {i}");
            }
            assert_eq!(found.settings["c"].as_float(), Some(0.0));
        }
        // Without noise there is nothing to change.
        let mut none = space.point(Solver::Cas, 1.0, Grid::Geometric).unwrap();
        none[6] = 1.0;
        assert_eq!(space.candidate(&none, 9).unwrap().sampler, SamplerKind::Cas);
    }

    #[test]
    fn usual_settings_are_points() {
        let space = Space::new([20.0, 0.01]);
        let of = |point: &Point| space.candidate(point, 16).unwrap();
        let amounts: Vec<f64> = space
            .usual()
            .iter()
            .map(|point| {
                of(point)
                    .settings
                    .values()
                    .find_map(Value::as_float)
                    .unwrap()
            })
            .collect();
        for (found, wanted) in amounts.iter().zip([1.0, 1.5, 2.0, 0.0, 1.0, 1.0, 0.0, 0.3]) {
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
        let first = of(&space.usual()[0]);
        assert_eq!((first.levels.first(), first.levels.last()), (20.0, 0.01));
        assert_eq!(first.grid, Grid::Geometric);
        let Grid::Karras { rho } = of(&space.usual()[3]).grid else {
            panic!("Karras's grid");
        };
        assert!((rho - 7.0).abs() < 1e-12);
        let few = Space {
            solvers: vec![Solver::Cas],
            ..space.clone()
        };
        assert_eq!(few.usual().len(), 3);
    }
}
