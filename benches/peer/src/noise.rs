//! What sampling does beside calling the network: normals, and the arithmetic of an update.

use std::ops::ControlFlow;
use std::time::Instant;

use tweedie::noise::Level;
use tweedie::random::{NoiseSource, Stream};
use tweedie::sample::{Observer, Sampler, State, StepView, run};
use tweedie::score::{Denoiser, Posterior, Query};

use crate::Result;
use crate::timing::{Budget, milliseconds};

/// Times 512 x 3 x 32 x 32 standard normals, 1.57 million.
pub fn normals(budget: Budget) -> Result<Vec<f64>> {
    let source = NoiseSource::new(0, Stream::Sampling);
    let samples: Vec<u64> = (0..512).collect();
    let mut out = vec![0.0_f32; 512 * 3 * 32 * 32];
    let mut step = 0;
    budget.measure(|| {
        source.fill_batch(&samples, step, &mut out);
        std::hint::black_box(&mut out);
        step += 1;
        Ok(())
    })
}

/// Times x <- a x + b H + c z on 8 x 3 x 256 x 256 values, as samplers do it: in f64.
pub fn sampler_updates(budget: Budget) -> Result<Vec<f64>> {
    let (source, samples) = (
        NoiseSource::new(0, Stream::Sampling),
        [0, 1, 2, 3, 4, 5, 6, 7],
    );
    let mut clock = Clock {
        budget,
        began: Instant::now(),
        last: Instant::now(),
        times: Vec::new(),
    };
    run(&Nothing, &mut Updates, &source, &samples, &mut clock)?;
    Ok(clock.times)
}

/// Images of 3 x 256 x 256, none of which is ever denoised.
struct Nothing;

impl Denoiser for Nothing {
    fn dim(&self) -> usize {
        3 * 256 * 256
    }

    fn denoise(&self, _: &Query<'_>, _: &mut Posterior<'_>) -> tweedie::Result<()> {
        Ok(())
    }
}

/// Updates without network calls, until the clock stops them.
struct Updates;

impl Sampler for Updates {
    fn steps(&self) -> usize {
        1 << 30
    }

    fn noise(&self, _: usize) -> (Level, Level) {
        (Level::ve(1.0), Level::ve(1.0))
    }

    fn step(&mut self, _: usize, state: &mut State<'_>) -> tweedie::Result<()> {
        state.update(0.9, 0.1, 0.4);
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        Some(0)
    }
}

/// Notes when each step is made.
struct Clock {
    budget: Budget,
    began: Instant,
    last: Instant,
    times: Vec<f64>,
}

impl Observer for Clock {
    fn start(&mut self, _level: Level, _x: &[f64], _dim: usize) {
        (self.began, self.last) = (Instant::now(), Instant::now());
    }

    fn step(&mut self, _: &StepView<'_>) -> ControlFlow<()> {
        self.times.push(milliseconds(self.last.elapsed()));
        self.last = Instant::now();
        match self.budget.spent(self.began, &self.times) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
