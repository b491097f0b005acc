//! Which timesteps of a table a sampler with fewer steps visits.
//!
//! The three usual spacings, with the rounding of the diffusers library; Lin et al., "Common
//! diffusion noise schedules and sample steps are flawed", 2024, Table 2, compares them.

use serde::{Deserialize, Serialize};

use super::Timesteps;
use crate::error::{Error, Result};
use crate::noise::Levels;

/// Which n of T timesteps are visited. Halves are rounded to even.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// i floor(T/n), i = n-1, ..., 0: always the first timestep, never the last (Song et al.
    /// 2021, "Denoising diffusion implicit models").
    ///
    /// Models that start from 1, with a `steps_offset` in diffusers, take
    /// [`Timesteps::levels_at`] on these timesteps plus 1.
    Leading,
    /// round(T - i T/n) - 1, i = 0, ..., n-1: always the last timestep, where sampling starts;
    /// the one Lin et al. recommend.
    #[default]
    Trailing,
    /// round(i (T-1)/(n-1)), i = n-1, ..., 0: both the last timestep and the first (Nichol and
    /// Dhariwal 2021).
    Linspace,
}

impl Timesteps {
    /// `count` timesteps for sampling, from the noisiest down.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `count` is in [1, T], and for a single step that is not
    /// [`Spacing::Trailing`]: it would be the first timestep, which has almost no noise.
    pub fn timesteps(&self, count: usize, spacing: Spacing) -> Result<Vec<usize>> {
        let all = self.len();
        if count == 0 || count > all {
            let reason = format!("must be from 1 to {all}, the number of timesteps");
            return Err(Error::setting("steps", count, reason));
        }
        if count == 1 && all > 1 && spacing != Spacing::Trailing {
            let reason = "a single step must start at the last timestep; use trailing spacing";
            return Err(Error::setting("steps", count, reason));
        }
        let at = |i: usize| match spacing {
            Spacing::Leading => (count - 1 - i) * (all / count),
            Spacing::Trailing => {
                let stride = all as f64 / count as f64;
                (all as f64 - i as f64 * stride).round_ties_even() as usize - 1
            }
            // The end is exact.
            Spacing::Linspace if i == 0 => all - 1,
            Spacing::Linspace => {
                let stride = (all - 1) as f64 / (count - 1) as f64;
                ((count - 1 - i) as f64 * stride).round_ties_even() as usize
            }
        };
        Ok((0..count).map(at).collect())
    }

    /// The relative noise levels of [`Timesteps::timesteps`], for a sampler of `count` steps; the
    /// last step goes to the data.
    ///
    /// # Errors
    /// As for [`Timesteps::timesteps`].
    pub fn levels(&self, count: usize, spacing: Spacing) -> Result<Levels> {
        self.levels_at(&self.timesteps(count, spacing)?)
    }

    /// The relative noise levels of `timesteps`, which decrease strictly from below T.
    ///
    /// # Errors
    /// [`Error::Setting`] for an empty list, a timestep of T or more, or one that is not below
    /// the one before.
    pub fn levels_at(&self, timesteps: &[usize]) -> Result<Levels> {
        let refuse = |t: usize, reason: String| Err(Error::setting("timesteps", t, reason));
        let mut end = self.len();
        for (i, &t) in timesteps.iter().enumerate() {
            if t >= self.len() {
                return refuse(t, format!("the last timestep is {}", self.len() - 1));
            }
            if t >= end {
                return refuse(t, format!("must be below {end}, the one before: entry {i}"));
            }
            end = t;
        }
        if timesteps.is_empty() {
            let reason = "at least one timestep is needed";
            return Err(Error::setting("timesteps", "[]", reason));
        }
        Levels::new(timesteps.iter().map(|&t| self.entry(t)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ddpm() -> Timesteps {
        Timesteps::linear(1e-4, 0.02, 1000).unwrap()
    }

    #[test]
    fn ten_of_a_thousand_are_those_of_the_published_table() {
        // Lin et al. 2024, Table 2, counts from 1; these count from 0.
        let table = ddpm();
        let leading = table.timesteps(10, Spacing::Leading).unwrap();
        assert_eq!(leading, [900, 800, 700, 600, 500, 400, 300, 200, 100, 0]);
        let trailing = table.timesteps(10, Spacing::Trailing).unwrap();
        assert_eq!(trailing, [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]);
        let linspace = table.timesteps(10, Spacing::Linspace).unwrap();
        assert_eq!(linspace, [999, 888, 777, 666, 555, 444, 333, 222, 111, 0]);
    }

    #[test]
    fn a_stride_that_is_not_whole_is_floored_or_rounded_to_even() {
        let table = ddpm();
        let leading = table.timesteps(7, Spacing::Leading).unwrap();
        assert_eq!(leading, [852, 710, 568, 426, 284, 142, 0]);
        // 1000 - 62.5 i: 937.5 rounds to 938, 812.5 to 812.
        let trailing = table.timesteps(16, Spacing::Trailing).unwrap();
        assert_eq!(trailing[..5], [999, 937, 874, 811, 749]);
        // 999/2 = 499.5 rounds to 500.
        let linspace = table.timesteps(3, Spacing::Linspace).unwrap();
        assert_eq!(linspace, [999, 500, 0]);
    }

    #[test]
    fn levels_are_the_tables_at_these_timesteps() {
        let table = ddpm();
        for spacing in [Spacing::Leading, Spacing::Trailing, Spacing::Linspace] {
            let timesteps = table.timesteps(20, spacing).unwrap();
            let levels = table.levels(20, spacing).unwrap();
            for (&t, &sigma) in timesteps.iter().zip(levels.as_slice()) {
                assert_eq!(table.timestep(sigma), t as f64);
            }
            assert_eq!(table.levels(1000, spacing).unwrap(), *table.table());
        }
    }

    #[test]
    fn wrong_steps_are_refused_by_name() {
        let table = ddpm();
        let steps = |count, spacing| table.levels(count, spacing).unwrap_err().to_string();
        assert!(steps(0, Spacing::Trailing).starts_with("steps = 0"));
        assert!(steps(1001, Spacing::Leading).contains("from 1 to 1000"));
        assert!(steps(1, Spacing::Leading).contains("use trailing"));
        assert!(steps(1, Spacing::Linspace).contains("use trailing"));
        assert_eq!(table.timesteps(1, Spacing::Trailing).unwrap(), [999]);
        let one = Timesteps::from_betas(&[0.5]).unwrap();
        assert_eq!(one.timesteps(1, Spacing::Linspace).unwrap(), [0]);
        let at = |timesteps: &[usize]| table.levels_at(timesteps).unwrap_err().to_string();
        assert!(at(&[]).starts_with("timesteps = []"));
        assert!(at(&[1000]).contains("the last timestep is 999"));
        assert!(at(&[5, 5]).contains("must be below 5"));
        assert!(at(&[5, 6]).starts_with("timesteps = 6"));
    }

    #[test]
    fn a_configuration_writes_it_in_lower_case() {
        let text = serde_json::to_string(&Spacing::Trailing).unwrap();
        assert_eq!(text, r#""trailing""#);
    }

    proptest! {
        #[test]
        fn any_number_of_steps_decreases_within_the_table(all in 2usize..400, part in 0.0..1.0f64) {
            let count = 2 + (part * (all - 1) as f64) as usize;
            let table = Timesteps::linear(1e-3, 0.02, all).unwrap();
            for spacing in [Spacing::Leading, Spacing::Trailing, Spacing::Linspace] {
                let timesteps = table.timesteps(count, spacing).unwrap();
                prop_assert_eq!(timesteps.len(), count);
                prop_assert!(timesteps.windows(2).all(|pair| pair[1] < pair[0]));
                prop_assert!(table.levels_at(&timesteps).is_ok());
                match spacing {
                    Spacing::Leading => prop_assert_eq!(timesteps[count - 1], 0),
                    Spacing::Trailing => prop_assert_eq!(timesteps[0], all - 1),
                    Spacing::Linspace => {
                        prop_assert_eq!((timesteps[0], timesteps[count - 1]), (all - 1, 0));
                    }
                }
            }
        }
    }
}
