//! Progress on stderr: a bar with rate and time left on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tweedie::job::{Monitor, Progress};
use tweedie::{Error, Result};

use crate::signals;

/// Time between two plain lines.
const LINES: Duration = Duration::from_secs(10);
/// Time between two notes beside a bar: formatting one for every step would cost more than small
/// steps do.
const NOTES: Duration = Duration::from_millis(200);

/// Runs a job under the eyes of the user, who may stop it by a signal.
///
/// # Errors
/// Those of the job.
pub fn watched<T>(job: impl FnOnce(&mut Monitor<'_>) -> Result<T>) -> Result<T> {
    signals::catch()?;
    let mut bars = Bars::new();
    let mut watcher = |progress: &Progress<'_>| {
        bars.see(progress);
        signals::wish()
    };
    let result = job(&mut Monitor::new(&mut watcher));
    bars.finish();
    result
}

/// Says what a job that was stopped leaves, where it has no result that says so.
pub fn tell_if_stopped<T>(result: Result<T>, leaves: &str) -> Result<T> {
    if let Err(Error::Stopped) = &result {
        note!("stopped: {leaves}");
    }
    result
}

/// The progress of a job of one or more parts: each has a bar of its own, and a part may come
/// again.
struct Bars {
    now: Option<Part>,
    /// When there last was a line, or a note.
    spoke: Instant,
}

impl Bars {
    fn new() -> Self {
        Self {
            now: None,
            spoke: Instant::now(),
        }
    }

    /// Shows how far the job is.
    fn see(&mut self, progress: &Progress<'_>) {
        let goes_on = |part: &Part| part.what == progress.what && part.done <= progress.done;
        if !self.now.as_ref().is_some_and(goes_on) {
            self.finish();
        }
        let part = self.now.get_or_insert_with(|| Part::new(progress));
        part.done = progress.done;
        let silent = self.spoke.elapsed();
        match &part.bar {
            Some(bar) => {
                bar.set_position(progress.done);
                if silent > NOTES {
                    bar.set_message(progress.note.to_string());
                    self.spoke = Instant::now();
                }
            }
            None if silent > LINES => {
                note!("{}", part.line(progress));
                self.spoke = Instant::now();
            }
            None => {}
        }
    }

    /// The part is over; its bar goes away.
    fn finish(&mut self) {
        if let Some(Part { bar: Some(bar), .. }) = self.now.take() {
            bar.finish_and_clear();
        }
    }
}

/// A part of a job.
struct Part {
    what: String,
    /// What was done before it was first seen, such as updates of a run that goes on.
    first: u64,
    done: u64,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Part {
    fn new(progress: &Progress<'_>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let (bar, template) = match progress.total {
                0 => (
                    ProgressBar::no_length(),
                    "{prefix} {spinner} {pos} {per_sec}  {msg}",
                ),
                total => (
                    ProgressBar::new(total),
                    "{prefix} {wide_bar} {pos}/{len} {per_sec}, {eta} left  {msg}",
                ),
            };
            // The templates are constants; a wrong one would only lose the colours.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_prefix(progress.what.to_owned());
            bar.set_position(progress.done);
            bar.reset_eta();
            bar
        });
        Self {
            what: progress.what.to_owned(),
            first: progress.done,
            done: progress.done,
            began: Instant::now(),
            bar,
        }
    }

    /// Where it is, as a plain line.
    fn line(&self, progress: &Progress<'_>) -> String {
        let Progress {
            what,
            done,
            total,
            unit,
            note,
        } = progress;
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = (done - self.first) as f64 / seconds.max(1e-9);
        let mut line = format!("{what}: {done}");
        if *total > 0 {
            line += &format!("/{total}");
        }
        line += &format!(" {unit}");
        if rate > 0.0 {
            line += &match rate {
                rate if rate < 1.0 => {
                    format!(" ({} each", duration(Duration::from_secs_f64(1.0 / rate)))
                }
                rate => format!(" ({rate:.1}/s"),
            };
            if *total > 0 {
                let left = total.saturating_sub(*done) as f64 / rate;
                let left = Duration::from_secs_f64(left.min(1e9));
                line += &format!(", {} left", duration(left));
            }
            line += ")";
        }
        let note = note.to_string();
        if !note.is_empty() {
            line += &format!("  {note}");
        }
        line
    }
}

/// A duration in readable form.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), s % 60.0),
        s => format!(
            "{:.0} h {:02.0} min",
            (s / 3600.0).floor(),
            (s % 3600.0) / 60.0
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(done: u64, total: u64, note: &dyn std::fmt::Display) -> Progress<'_> {
        Progress {
            what: "training",
            done,
            total,
            unit: "steps",
            note,
        }
    }

    #[test]
    fn a_plain_line_has_rate_and_time_left() {
        let mut part = Part::new(&at(100, 400, &""));
        assert_eq!(part.line(&at(100, 400, &"")), "training: 100/400 steps");
        part.began = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        // Ten steps a second since it was first seen; what the clock adds is far below a digit.
        let line = part.line(&at(200, 400, &"loss 0.5"));
        assert_eq!(
            line,
            "training: 200/400 steps (10.0/s, 20.0 s left)  loss 0.5"
        );
        let line = part.line(&at(105, 0, &""));
        assert_eq!(line, "training: 105 steps (2.0 s each)");
    }

    #[test]
    fn a_part_that_begins_again_is_counted_anew() {
        let mut bars = Bars::new();
        for (done, first) in [(3, 3), (4, 3), (1, 1), (2, 1)] {
            bars.see(&at(done, 9, &""));
            let part = bars.now.as_ref().unwrap();
            assert_eq!((part.first, part.done), (first, done));
        }
    }
}
