//! Running means since the last line of statistics.

use std::time::{Duration, Instant};

use super::Line;
use crate::train::{Losses, StepReport};

/// The sums behind a line of statistics.
pub(super) struct Window {
    losses: Losses,
    norms: f64,
    steps: u64,
    /// Steps of an earlier session among them, which do not count in this one's time.
    before: u64,
    since: Instant,
}

impl Window {
    pub fn new(losses: Losses) -> Self {
        Self {
            losses,
            norms: 0.0,
            steps: 0,
            before: 0,
            since: Instant::now(),
        }
    }

    pub fn add(&mut self, report: &StepReport) {
        for &(sigma, loss) in &report.examples {
            self.losses.add(sigma, loss);
        }
        self.norms += report.gradient_norm;
        self.steps += 1;
    }

    /// The line for the step after `last`; empties the window.
    pub fn line(
        &mut self,
        last: &StepReport,
        batch: usize,
        total: Duration,
        checkpoint: Option<u64>,
    ) -> Line {
        let examples = (self.steps - self.before) as f64 * batch as f64;
        let line = Line {
            step: last.step + 1,
            loss: self.losses.mean().unwrap_or(last.loss),
            gradient_norm: self.norms / self.steps.max(1) as f64,
            lr: last.rate,
            levels: self.losses.levels(),
            accuracy: None,
            seconds: total.as_secs_f64(),
            examples_per_second: examples / self.since.elapsed().as_secs_f64().max(1e-9),
            checkpoint,
        };
        self.losses.clear();
        (self.norms, self.steps, self.before) = (0.0, 0, 0);
        self.since = Instant::now();
        line
    }

    /// The sums so far, exactly, for a checkpoint between two lines; empty just behind a line.
    pub fn to_words(&self) -> Vec<u64> {
        if self.steps == 0 {
            return Vec::new();
        }
        let mut words = vec![self.steps, self.norms.to_bits()];
        words.extend(self.losses.to_words());
        words
    }

    /// Restores such sums. Others leave the window empty: the next line then covers only the steps
    /// after the checkpoint.
    pub fn restore(&mut self, words: &[u64]) {
        if let [steps, norms, losses @ ..] = words
            && self.losses.restore(losses)
        {
            (self.steps, self.before) = (*steps, *steps);
            self.norms = f64::from_bits(*norms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(step: u64) -> StepReport {
        StepReport {
            step,
            loss: 0.1 * step as f64,
            examples: vec![(0.3, 0.1 + step as f64), (1.7, 0.7 / (1.0 + step as f64))],
            gradient_norm: 1.0 / (3.0 + step as f64),
            rate: 1e-3,
        }
    }

    #[test]
    fn a_window_cut_in_two_gives_the_same_line() {
        let new = || Window::new(Losses::new(0.1, 10.0, 5));
        let mut whole = new();
        let mut first = new();
        assert!(first.to_words().is_empty());
        for step in 0..7 {
            whole.add(&report(step));
            if step < 4 {
                first.add(&report(step));
            }
        }
        let mut second = new();
        second.restore(&first.to_words());
        for step in 4..7 {
            second.add(&report(step));
        }
        let line = |window: &mut Window| Line {
            examples_per_second: 0.0,
            ..window.line(&report(6), 2, Duration::ZERO, Some(4))
        };
        assert_eq!(line(&mut whole), line(&mut second));
        // Other sums are not restored.
        second.restore(&[3, 4, 5]);
        assert!(second.to_words().is_empty());
    }
}
