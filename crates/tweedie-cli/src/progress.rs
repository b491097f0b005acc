//! Progress on stderr: a bar with rate and time left on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Seconds between two plain lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Progress of one job.
pub struct Progress {
    what: String,
    total: u64,
    first: u64,
    bar: Option<ProgressBar>,
    began: Instant,
    spoke: Instant,
}

impl Progress {
    /// A job of `total` units, of which `first` are already done.
    pub fn new(what: &str, total: u64, first: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            // The template is a constant; a wrong one would only lose the colours.
            if let Ok(style) = ProgressStyle::with_template(
                "{prefix} {wide_bar} {pos}/{len} {per_sec}, {eta} left  {msg}",
            ) {
                bar.set_style(style);
            }
            bar.set_prefix(what.to_owned());
            bar.set_position(first);
            bar.reset_eta();
            bar
        });
        Self {
            what: what.to_owned(),
            total,
            first,
            bar,
            began: Instant::now(),
            spoke: Instant::now(),
        }
    }

    /// Reports that `done` units are done; `note` is shown beside them.
    pub fn at(&mut self, done: u64, note: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            // Formatting a note for every step would cost more than small steps do.
            if self.spoke.elapsed() > Duration::from_millis(200) {
                bar.set_message(note());
                self.spoke = Instant::now();
            }
        } else if self.spoke.elapsed() > INTERVAL {
            self.spoke = Instant::now();
            let elapsed = self.began.elapsed().as_secs_f64();
            let rate = (done - self.first) as f64 / elapsed.max(1e-9);
            let left = (self.total.saturating_sub(done)) as f64 / rate.max(1e-9);
            let note = note();
            note!(
                "{}: {done}/{} ({rate:.1}/s, {} left){}{note}",
                self.what,
                self.total,
                duration(Duration::from_secs_f64(left.min(1e9))),
                if note.is_empty() { "" } else { "  " },
            );
        }
    }

    /// Ends the job and removes the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
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

/// The progress of a job of several parts: each has a bar of its own, and a part may be repeated.
#[derive(Default)]
pub struct Bars {
    now: Option<(String, u64, Progress)>,
}

impl Bars {
    /// Shows how far the job is.
    pub fn see(&mut self, progress: &tweedie::job::Progress<'_>) {
        let goes_on = |(what, done, _): &(String, u64, Progress)| {
            what == progress.what && *done <= progress.done
        };
        if !self.now.as_ref().is_some_and(goes_on) {
            self.finish();
            // Units done before this job, such as the updates of a resumed run.
            let first = progress.done.saturating_sub(1);
            let bar = Progress::new(progress.what, progress.total, first);
            self.now = Some((progress.what.to_owned(), first, bar));
        }
        if let Some((_, done, bar)) = &mut self.now {
            *done = progress.done;
            bar.at(progress.done, || progress.note.to_string());
        }
    }

    /// Ends the job and removes the bar.
    pub fn finish(&mut self) {
        if let Some((.., bar)) = self.now.take() {
            bar.finish();
        }
    }
}
