//! The reverse path: levels from the largest noise down to the data, in a process's coordinates.

use super::{Coordinates, Level, Levels};

/// Noise levels from the largest down, ending at the data: at least one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Path(Vec<Level>);

/// A step of a [`Path`].
///
/// The forward process goes the other way: x = a x' + g z, x' the sample at `to` and x that at
/// `from`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The level before the step.
    pub from: Level,
    /// The level after it, with less relative noise.
    pub to: Level,
}

impl Path {
    /// The path through `levels` of relative noise, then to the data, in `coordinates`.
    pub fn new(levels: &Levels, coordinates: Coordinates) -> Self {
        let relative = levels.as_slice().iter().copied().chain([0.0]);
        Self(relative.map(|r| coordinates.level(r)).collect())
    }

    /// The steps: as many as there are levels above the data.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = Step> + '_ {
        self.0.windows(2).map(|pair| Step {
            from: pair[0],
            to: pair[1],
        })
    }
}

impl Step {
    /// a, the forward process's factor: alpha/alpha'. 1 for VE, sqrt(1 - beta) for VP.
    pub fn a(&self) -> f64 {
        self.from.alpha / self.to.alpha
    }

    /// g^2 = sigma^2 - a^2 sigma'^2, the noise the forward process adds: sigma^2 - sigma'^2 for
    /// VE, beta for VP.
    pub fn g2(&self) -> f64 {
        let (r, next) = (self.from.relative(), self.to.relative());
        self.from.alpha.powi(2) * (r - next) * (r + next)
    }

    /// gamma = (sigma'/alpha')/(sigma/alpha) in [0, 1), the factor of the relative noise.
    pub fn gamma(&self) -> f64 {
        self.to.relative() / self.from.relative()
    }

    /// The factors of x and x0 in the mean of x' given both: a sigma'^2/sigma^2 and
    /// alpha' g^2/sigma^2.
    pub fn posterior_mean(&self) -> (f64, f64) {
        let Self { from, to } = *self;
        let of_x = self.a() * (to.sigma / from.sigma).powi(2);
        (of_x, to.alpha * self.g2() / from.sigma.powi(2))
    }

    /// The variance of x' given x and x0, g^2 sigma'^2/sigma^2.
    pub fn posterior_variance(&self) -> f64 {
        self.g2() * (self.to.sigma / self.from.sigma).powi(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forward_process_has_the_marginals() {
        let levels = Levels::geometric(30.0, 0.01, 9).unwrap();
        for coordinates in [Coordinates::Ve, Coordinates::Vp, Coordinates::SubVp] {
            let path = Path::new(&levels, coordinates);
            assert_eq!(path.steps().len(), 9);
            for step in path.steps() {
                let variance = (step.a() * step.to.sigma).powi(2) + step.g2();
                assert!((variance / step.from.sigma.powi(2) - 1.0).abs() < 1e-14);
                if coordinates == Coordinates::Vp {
                    assert!((step.g2() + step.a().powi(2) - 1.0).abs() < 1e-14);
                }
            }
            assert_eq!(path.steps().last().unwrap().to, Level::DATA);
        }
    }
}
