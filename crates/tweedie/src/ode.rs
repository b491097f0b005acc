//! Ordinary differential equations for many rows at once, each with steps of its own.
//!
//! The pair of Dormand and Prince, "A family of embedded Runge-Kutta formulae", 1980 (`RK45`,
//! `dopri5`): fifth order, with a fourth-order formula beside it that measures the error. Starting
//! step and control as in Hairer, Norsett and Wanner, "Solving ordinary differential equations I",
//! II.4.
//!
//! Every row has its own time, step and error, so its solution does not depend on the rows beside
//! it. The slopes of all rows are asked for together.

use crate::error::{Error, Result};

/// Nodes of the stages after the first.
const C: [f64; 6] = [1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];
/// Each stage's weights of the slopes before it; the last are those of the solution.
const A: [&[f64]; 6] = [
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[
        19372.0 / 6561.0,
        -25360.0 / 2187.0,
        64448.0 / 6561.0,
        -212.0 / 729.0,
    ],
    &[
        9017.0 / 3168.0,
        -355.0 / 33.0,
        46732.0 / 5247.0,
        49.0 / 176.0,
        -5103.0 / 18656.0,
    ],
    &[
        35.0 / 384.0,
        0.0,
        500.0 / 1113.0,
        125.0 / 192.0,
        -2187.0 / 6784.0,
        11.0 / 84.0,
    ],
];
/// The fifth-order weights less the fourth-order ones.
const E: [f64; 7] = [
    71.0 / 57600.0,
    0.0,
    -71.0 / 16695.0,
    71.0 / 1920.0,
    -17253.0 / 339200.0,
    22.0 / 525.0,
    -1.0 / 40.0,
];

/// Bounds of the error of a step: |error| <= atol + rtol |value|, root mean square over a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DormandPrince {
    /// The error relative to each value, positive.
    pub rtol: f64,
    /// The absolute error, positive.
    pub atol: f64,
    /// Attempted steps after which a row gives up.
    pub most: usize,
}

impl Default for DormandPrince {
    /// 1e-5 both, as in score_sde.
    fn default() -> Self {
        Self {
            rtol: 1e-5,
            atol: 1e-5,
            most: 10_000,
        }
    }
}

/// What a solver knows of its rows at the end of an interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// The step each row would make next, `[n]`; 0 where the solver is to choose.
    steps: Vec<f64>,
    /// dy/dt where the rows stand, `[n, width]`; empty before the first interval.
    slopes: Vec<f64>,
}

impl Memory {
    /// Nothing is known of `n` rows.
    pub fn new(n: usize) -> Self {
        Self {
            steps: vec![0.0; n],
            slopes: Vec::new(),
        }
    }

    /// dy/dt at the end of the last interval, `[n, width]`.
    pub fn slopes(&self) -> &[f64] {
        &self.slopes
    }
}

/// The slopes dy/dt of some rows, at a time each: (which rows `[m]`, times `[m]`, y `[m, width]`,
/// slopes out).
pub type Slopes<'a> = dyn FnMut(&[usize], &[f64], &[f64], &mut [f64]) -> Result<()> + 'a;

impl DormandPrince {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`Error::Setting`] for a bound that is not positive and finite, or an `rtol` that rounding
    /// cannot meet.
    pub fn validate(&self) -> Result<()> {
        if !(self.rtol >= 1e-13 && self.rtol.is_finite()) {
            return Err(Error::setting("rtol", self.rtol, "must be 1e-13 or more"));
        }
        if !(self.atol > 0.0 && self.atol.is_finite()) {
            return Err(Error::setting("atol", self.atol, "must be positive"));
        }
        Ok(())
    }

    /// Takes every row of `y`, `[n, width]`, from time `from` to `to`, either way.
    ///
    /// `slopes` must treat rows independently. `memory` is [`Memory::new`] at first; kept for a
    /// next interval, it saves that one its start. The last `alone` values of a row (log densities beside a sample) must each meet the bounds by
    /// themselves: in the mean over a long row their error would not count.
    ///
    /// # Errors
    /// Those of `slopes`; [`Error::Setting`] for bounds that are not valid, or that a row does not
    /// meet in [`DormandPrince::most`] steps.
    pub fn solve(
        &self,
        slopes: &mut Slopes<'_>,
        y: &mut [f64],
        alone: usize,
        memory: &mut Memory,
        from: f64,
        to: f64,
    ) -> Result<()> {
        self.validate()?;
        let Memory {
            steps,
            slopes: first,
        } = memory;
        let n = steps.len();
        if n == 0 {
            return Ok(());
        }
        let width = y.len() / n;
        if first.len() != y.len() {
            first.resize(y.len(), 0.0);
            let all: Vec<usize> = (0..n).collect();
            slopes(&all, &vec![from; n], y, first)?;
        }
        if from == to {
            return Ok(());
        }
        self.begin(slopes, y, first, alone, steps, from, to)?;
        let mut rows: Vec<Row> = steps
            .iter()
            .enumerate()
            .map(|(row, &step)| Row {
                row,
                t: from,
                // A memory may come from the other direction.
                step: step.copysign(to - from),
                lost: 0,
            })
            .collect();
        for _ in 0..self.most {
            rows.retain(|row| row.t != to);
            if rows.is_empty() {
                return Ok(());
            }
            self.attempt(slopes, y, first, width, alone, &mut rows, to)?;
            for row in &rows {
                steps[row.row] = row.step;
            }
        }
        rows.retain(|row| row.t != to);
        match rows.first() {
            None => Ok(()),
            Some(row) => {
                let share = 100.0 * (row.t - from) / (to - from);
                let reason = format!(
                    "not met in {} steps, after {share:.1} % of the way; take a larger one",
                    self.most
                );
                Err(Error::setting("rtol", self.rtol, reason))
            }
        }
    }

    /// Chooses the first steps of the rows that have none.
    #[allow(clippy::too_many_arguments)] // A private part of `solve`, split for reading.
    fn begin(
        &self,
        slopes: &mut Slopes<'_>,
        y: &[f64],
        first: &[f64],
        alone: usize,
        steps: &mut [f64],
        from: f64,
        to: f64,
    ) -> Result<()> {
        if steps.iter().all(|step| *step != 0.0) {
            return Ok(());
        }
        let width = y.len() / steps.len();
        let mut guess = Vec::with_capacity(steps.len());
        let mut ahead = Vec::with_capacity(y.len());
        let rows = || y.chunks_exact(width).zip(first.chunks_exact(width));
        for (y, slope) in rows() {
            let size = self.norm(y, y, y, alone);
            let speed = self.norm(slope, y, y, alone);
            let h = if size < 1e-5 || speed < 1e-5 {
                1e-6
            } else {
                0.01 * size / speed
            };
            let h = h.min((to - from).abs()).copysign(to - from);
            guess.push(h);
            ahead.extend(y.iter().zip(slope).map(|(y, slope)| y + h * slope));
        }
        let times: Vec<f64> = guess.iter().map(|h| from + h).collect();
        let mut second = vec![0.0; y.len()];
        let all: Vec<usize> = (0..steps.len()).collect();
        slopes(&all, &times, &ahead, &mut second)?;
        for (i, (y, slope)) in rows().enumerate() {
            if steps[i] != 0.0 {
                continue;
            }
            let second = &second[i * width..][..width];
            let change: Vec<f64> = second.iter().zip(slope).map(|(b, a)| b - a).collect();
            let bend = self.norm(&change, y, y, alone) / guess[i].abs();
            let fastest = self.norm(slope, y, y, alone).max(bend);
            let h = if fastest <= 1e-15 {
                (guess[i].abs() * 1e-3).max(1e-6)
            } else {
                (0.01 / fastest).powf(0.2)
            };
            steps[i] = h.min(100.0 * guess[i].abs()).copysign(to - from);
        }
        Ok(())
    }

    /// One attempted step of every row.
    #[allow(clippy::too_many_arguments)] // A private part of `solve`, split for reading.
    fn attempt(
        &self,
        slopes: &mut Slopes<'_>,
        y: &mut [f64],
        first: &mut [f64],
        width: usize,
        alone: usize,
        rows: &mut [Row],
        to: f64,
    ) -> Result<()> {
        let place = |row: usize| row * width..(row + 1) * width;
        let h: Vec<f64> = rows.iter().map(|row| row.toward(to)).collect();
        let numbers: Vec<usize> = rows.iter().map(|row| row.row).collect();
        let mut k = vec![Vec::with_capacity(rows.len() * width)];
        for row in rows.iter() {
            k[0].extend(&first[place(row.row)]);
        }
        let mut ahead = vec![0.0; rows.len() * width];
        for (c, weights) in C.iter().zip(A) {
            for (i, row) in rows.iter().enumerate() {
                let start = &y[place(row.row)];
                for (j, out) in ahead[place(i)].iter_mut().enumerate() {
                    let terms = weights.iter().zip(&k);
                    let slope: f64 = terms.map(|(w, k)| w * k[i * width + j]).sum();
                    *out = start[j] + h[i] * slope;
                }
            }
            let times: Vec<f64> = rows.iter().zip(&h).map(|(row, h)| row.t + c * h).collect();
            let mut next = vec![0.0; ahead.len()];
            slopes(&numbers, &times, &ahead, &mut next)?;
            k.push(next);
        }
        // The last stage is the solution, and its slope the first of the next step.
        let mut error = vec![0.0; width];
        for (i, row) in rows.iter_mut().enumerate() {
            for (j, out) in error.iter_mut().enumerate() {
                let terms = E.iter().zip(&k);
                *out = h[i] * terms.map(|(w, k)| w * k[i * width + j]).sum::<f64>();
            }
            let (start, end) = (place(row.row), place(i));
            let norm = self.norm(&error, &y[start.clone()], &ahead[end.clone()], alone);
            let factor = (0.9 * norm.powf(-0.2)).clamp(0.2, 10.0);
            if norm <= 1.0 {
                row.lost = 0;
                row.t = if h[i] == to - row.t { to } else { row.t + h[i] };
                y[start.clone()].copy_from_slice(&ahead[end.clone()]);
                first[start].copy_from_slice(&k[6][end]);
                // A step cut short by the end says little about the next.
                row.step = if h[i].abs() < row.step.abs() {
                    row.step.abs().max(h[i].abs() * factor).copysign(h[i])
                } else {
                    h[i] * factor
                };
            } else {
                // NaN comes here as well: it may be that of a step too long, but not for ever.
                row.lost = if norm.is_nan() { row.lost + 1 } else { 0 };
                if row.lost > LOST {
                    let reason = format!(
                        "not finite at t = {} (ln sigma, in a probability flow), however short \
                         the step; check the checkpoint, and that this noise level is among those \
                         it was trained on",
                        row.t
                    );
                    return Err(Error::setting("slope", "NaN", reason));
                }
                let shorter = if norm.is_nan() { 0.2 } else { factor.min(1.0) };
                row.step = h[i] * shorter;
            }
        }
        Ok(())
    }

    /// The size of `error` in units of the bounds at `a` and `b`.
    fn norm(&self, error: &[f64], a: &[f64], b: &[f64], alone: usize) -> f64 {
        let square = |((e, a), b): ((&f64, &f64), &f64)| {
            (e / (self.atol + self.rtol * a.abs().max(b.abs()))).powi(2)
        };
        let together = error.len() - alone;
        let squares = || error.iter().zip(a).zip(b).map(square);
        let mean = squares().take(together).sum::<f64>() / together.max(1) as f64;
        let worst = squares().skip(together).fold(mean, |worst, s| {
            // Not f64::max, which loses NaN.
            if s > worst || s.is_nan() { s } else { worst }
        });
        worst.sqrt()
    }
}

/// Where a row stands.
struct Row {
    row: usize,
    t: f64,
    step: f64,
    /// Attempts in a row that gave NaN.
    lost: u32,
}

/// Attempts with NaN after which a step is not to blame: it has shrunk by 0.2 to this power.
const LOST: u32 = 12;

impl Row {
    /// The step to try: its own, but not beyond `to`, nor leaving a sliver before it.
    fn toward(&self, to: f64) -> f64 {
        let left = to - self.t;
        if self.step.abs() >= left.abs() {
            left
        } else if 2.0 * self.step.abs() > left.abs() {
            0.5 * left
        } else {
            self.step
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// y' = -y and y'' = -y, side by side, forth and back.
    #[test]
    fn known_equations_are_solved_to_the_tolerance() {
        for rtol in [1e-6, 1e-9, 1e-12] {
            let solver = DormandPrince {
                rtol,
                atol: rtol,
                most: 100_000,
            };
            let mut slopes = |_: &[usize], _: &[f64], y: &[f64], out: &mut [f64]| {
                for (y, out) in y.chunks_exact(3).zip(out.chunks_exact_mut(3)) {
                    out.copy_from_slice(&[-y[0], y[2], -y[1]]);
                }
                Ok(())
            };
            let mut y = vec![1.0, 0.0, 1.0, 2.0, 1.0, 0.0];
            let start = y.clone();
            let mut memory = Memory::new(2);
            for (from, to) in [(0.0, 1.0), (1.0, 3.0)] {
                solver
                    .solve(&mut slopes, &mut y, 0, &mut memory, from, to)
                    .unwrap();
            }
            let end = [
                (-3f64).exp(),
                3f64.sin(),
                3f64.cos(),
                2.0 * (-3f64).exp(),
                3f64.cos(),
                -3f64.sin(),
            ];
            assert!(y.iter().zip(end).all(|(y, e)| (y - e).abs() < 30.0 * rtol));
            assert!((memory.slopes()[0] + y[0]).abs() < 30.0 * rtol);
            solver
                .solve(&mut slopes, &mut y, 0, &mut Memory::new(2), 3.0, 0.0)
                .unwrap();
            let back = y.iter().zip(start);
            assert!(back.clone().all(|(y, s)| (y - s).abs() < 600.0 * rtol));
        }
    }

    /// Rows of different speeds: each is solved as if it were alone, bit for bit.
    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let solver = DormandPrince::default();
        let mut slopes = |_: &[usize], t: &[f64], y: &[f64], out: &mut [f64]| {
            for ((t, y), out) in t.iter().zip(y.chunks(2)).zip(out.chunks_mut(2)) {
                out.copy_from_slice(&[-y[1] * y[0] * (20.0 * t).cos(), 0.0]);
            }
            Ok(())
        };
        let start = [1.0, 0.1, 2.0, 50.0, -1.0, 3.0];
        let mut together = start.to_vec();
        solver
            .solve(&mut slopes, &mut together, 0, &mut Memory::new(3), 0.0, 2.0)
            .unwrap();
        for i in 0..3 {
            let mut alone = start[2 * i..2 * i + 2].to_vec();
            solver
                .solve(&mut slopes, &mut alone, 0, &mut Memory::new(1), 0.0, 2.0)
                .unwrap();
            assert_eq!(alone, together[2 * i..2 * i + 2]);
        }
    }

    #[test]
    fn what_cannot_be_solved_is_an_error() {
        let solver = DormandPrince {
            most: 50,
            ..DormandPrince::default()
        };
        let mut nan = |_: &[usize], _: &[f64], _: &[f64], out: &mut [f64]| {
            out.fill(f64::NAN);
            Ok(())
        };
        let error = solver
            .solve(&mut nan, &mut [1.0], 0, &mut Memory::new(1), 0.0, 1.0)
            .unwrap_err();
        assert!(error.to_string().starts_with("slope = NaN"), "{error}");
        // Faster and faster, so that no step is short enough in the end.
        let mut wild = |_: &[usize], t: &[f64], _: &[f64], out: &mut [f64]| {
            out[0] = (1e6 * t[0]).sin() * 1e9;
            Ok(())
        };
        let error = solver
            .solve(&mut wild, &mut [1.0], 0, &mut Memory::new(1), 0.0, 1.0)
            .unwrap_err();
        assert!(error.to_string().starts_with("rtol"), "{error}");
        for (rtol, atol) in [
            (0.0, 1.0),
            (1e-3, 0.0),
            (f64::NAN, 1.0),
            (1.0, f64::INFINITY),
        ] {
            let most = 1;
            assert!(DormandPrince { rtol, atol, most }.validate().is_err());
        }
    }
}
