//! A continuum of noise levels made from a table.
//!
//! Chen et al., "WaveGrad: estimating gradients for waveform generation", 2021, section 2.2:
//! with l_0 = 1 and l_t = sqrt(abar(t)), counted from 1, draw one of the bins [l_t, l_{t-1}], then
//! sqrt(abar) uniformly in it. A network trained so can be sampled on any schedule.

use super::Timesteps;

impl Timesteps {
    /// The relative noise at quantile `u` in (0, 1): where u is uniform, sqrt(abar) is uniform in
    /// each of T bins, all equally likely.
    ///
    /// It grows with `u`, from 0 (the data) to the noise of the last timestep.
    pub fn quantile(&self, u: f64) -> f64 {
        let place = u.clamp(0.0, 1.0) * self.len() as f64;
        let bin = (place as usize).min(self.len() - 1);
        let part = place - bin as f64;
        let low = bin.checked_sub(1).map_or(0.0, |t| self.entry(t));
        let [low, high] = [low, self.entry(bin)].map(|r| {
            // sqrt(abar) and 1 - sqrt(abar), each without cancellation.
            let h = 1f64.hypot(r);
            (1.0 / h, r / h * (r / (1.0 + h)))
        });
        let between = |low: f64, high: f64| low + part * (high - low);
        let (alpha, lacking) = (between(low.0, high.0), between(low.1, high.1));
        (lacking * (1.0 + alpha)).sqrt() / alpha
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_abar_is_uniform_in_equally_likely_bins() {
        let table = Timesteps::linear(1e-6, 0.01, 1000).unwrap();
        let root = |t: usize| table.abar(t).unwrap().sqrt();
        for t in 0..1000 {
            let [low, high] = [if t == 0 { 1.0 } else { root(t - 1) }, root(t)];
            for part in [0.25, 0.5, 0.75] {
                let relative = table.quantile((t as f64 + part) / 1000.0);
                let found = 1.0 / 1f64.hypot(relative);
                assert!((found - (low + part * (high - low))).abs() < 1e-14, "{t}");
            }
            // The ends of the bins are the table's.
            let end = table.quantile((t + 1) as f64 / 1000.0);
            assert!((end / table.relative(t as f64) - 1.0).abs() < 1e-12, "{t}");
        }
    }

    #[test]
    fn it_grows_from_the_data_to_the_last_timestep() {
        let table = Timesteps::cosine(100, 0.008, 0.999).unwrap();
        let found: Vec<f64> = (0..=5000)
            .map(|i| table.quantile(f64::from(i) / 5000.0))
            .collect();
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(found[0], 0.0);
        assert!((found[5000] / table.table().first() - 1.0).abs() < 1e-14);
        // The finest draws keep their digits: sqrt(abar) = 1 - d has relative noise sqrt(2 d).
        let finest = table.quantile(1e-15);
        let lacking = 1.0 - table.abar(0).unwrap().sqrt();
        assert!((finest / (2.0 * lacking * 1e-13).sqrt() - 1.0).abs() < 1e-10);
    }
}
