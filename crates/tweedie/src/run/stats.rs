//! The statistics of a run: `stats.jsonl`, one line every `log_every` steps.
//!
//! A line that cannot be read is skipped and counted, and stays in the file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{read_if_there, write_atomic};
use crate::train::LevelLoss;

/// The version of the lines that are written; lines without one are of version 1 too.
const VERSION: u32 = 1;

/// One line of `stats.jsonl`: means since the previous line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Updates made.
    pub step: u64,
    /// Mean loss.
    pub loss: f64,
    /// Mean norm of the gradient, before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Mean loss by noise level.
    pub levels: Vec<LevelLoss>,
    /// Of a classifier, at checkpoints: its accuracy on the part that is held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Seconds of training since the run began or was resumed.
    pub seconds: f64,
    /// Training examples per second since the previous line.
    pub examples_per_second: f64,
    /// The step of the latest checkpoint when the line was written; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<u64>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default = "first")]
    version: u32,
}

fn first() -> u32 {
    1
}

#[derive(Serialize)]
struct Versioned<'a> {
    version: u32,
    #[serde(flatten)]
    line: &'a Line,
}

/// A run's statistics as far as they can be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// The number of other lines: damaged, blank, or of a later version.
    pub skipped: usize,
}

/// The file of a run's statistics.
pub(super) struct StatsFile(PathBuf);

impl StatsFile {
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Adds a line.
    pub fn append(&self, line: &Line) -> Result<()> {
        let version = VERSION;
        let mut text = serde_json::to_string(&Versioned { version, line })
            .map_err(|e| Error::content(&self.0, e.to_string()))?;
        text.push('\n');
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.0)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Error::io("write", &self.0))
    }

    /// Syncs the added lines to the disk.
    pub fn sync(&self) -> Result<()> {
        let synced = File::open(&self.0).and_then(|file| file.sync_all());
        match synced {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(Error::io("sync", &self.0)),
        }
    }

    /// All lines; a last one torn by a crash is left out.
    pub fn read(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        for line in lines(&read_if_there(&self.0)?.unwrap_or_default()) {
            match parse(line) {
                Some(line) => stats.lines.push(line),
                None if is_torn(line) => {}
                None => stats.skipped += 1,
            }
        }
        Ok(stats)
    }

    /// Removes the lines of steps after `step`, which a resumed run writes again.
    pub fn truncate(&self, step: u64) -> Result<()> {
        let Some(bytes) = read_if_there(&self.0)? else {
            return Ok(());
        };
        let mut kept = Vec::with_capacity(bytes.len());
        for line in lines(&bytes) {
            let stays = match parse(line) {
                Some(parsed) => parsed.step <= step,
                None => !is_torn(line),
            };
            if stays {
                // Copied as text: parsing and printing need not preserve every number.
                kept.extend_from_slice(line);
                if is_torn(line) {
                    kept.push(b'\n');
                }
            }
        }
        match kept == bytes {
            true => Ok(()),
            false => write_atomic(&self.0, &kept),
        }
    }
}

/// The lines, each with its end.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

/// Whether the line was cut short by a crash.
fn is_torn(line: &[u8]) -> bool {
    !line.ends_with(b"\n")
}

fn parse(line: &[u8]) -> Option<Line> {
    let Version { version } = serde_json::from_slice(line).ok()?;
    match version {
        VERSION => serde_json::from_slice(line).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn line(step: u64) -> Line {
        Line {
            step,
            loss: 0.5 + step as f64,
            gradient_norm: 0.25,
            lr: 0.125,
            levels: vec![LevelLoss {
                sigma: 0.75,
                loss: None,
                count: 0,
            }],
            accuracy: (step > 4).then_some(0.75),
            seconds: 1.5,
            examples_per_second: 3.0,
            checkpoint: (step > 2).then_some(2),
        }
    }

    fn written(steps: &[u64]) -> (tempfile::TempDir, StatsFile) {
        let dir = tempfile::tempdir().unwrap();
        let file = StatsFile::new(dir.path().join("stats.jsonl"));
        for &step in steps {
            file.append(&line(step)).unwrap();
        }
        (dir, file)
    }

    #[test]
    fn lines_come_back_and_later_ones_go() {
        let (_dir, file) = written(&[2, 4, 6]);
        let bytes = fs::read(file.path()).unwrap();
        assert!(bytes.starts_with(b"{\"version\":1,\"step\":2,"));
        let all = Stats {
            lines: vec![line(2), line(4), line(6)],
            skipped: 0,
        };
        assert_eq!(file.read().unwrap(), all);
        file.truncate(4).unwrap();
        assert_eq!(file.read().unwrap().lines, all.lines[..2]);
        assert!(bytes.starts_with(&fs::read(file.path()).unwrap()));
        file.truncate(0).unwrap();
        assert_eq!(file.read().unwrap(), Stats::default());
    }

    #[test]
    fn what_is_not_ours_costs_no_good_line_before_or_behind_it() {
        let (_dir, file) = written(&[2]);
        let good = fs::read(file.path()).unwrap();
        let foreign: [&[u8]; 5] = [
            b"\n",
            b"half a li\n",
            b"\xff\xfe not UTF-8\n",
            b"{\"version\":2,\"step\":3,\"news\":true}\n",
            b"{\"step\":3}\n",
        ];
        let bytes = [&foreign.concat(), &good[..], &foreign.concat(), b"{\"torn"].concat();
        fs::write(file.path(), &bytes).unwrap();
        let stats = file.read().unwrap();
        assert_eq!((&stats.lines[..], stats.skipped), (&[line(2)][..], 10));
        file.truncate(2).unwrap();
        // All but the line that a crash cut short.
        let kept = fs::read(file.path()).unwrap();
        assert_eq!(kept, bytes[..bytes.len() - 6]);
        file.append(&line(4)).unwrap();
        assert_eq!(file.read().unwrap().lines, [line(2), line(4)]);
    }

    #[test]
    fn lines_without_a_version_and_a_last_one_without_its_end_count() {
        let (_dir, file) = written(&[]);
        let old = serde_json::to_string(&line(2)).unwrap();
        fs::write(file.path(), format!("{old}\n{old}")).unwrap();
        assert_eq!(file.read().unwrap().lines, [line(2), line(2)]);
        file.truncate(2).unwrap();
        assert_eq!(
            fs::read_to_string(file.path()).unwrap(),
            format!("{old}\n{old}\n")
        );
    }

    #[test]
    fn only_no_file_means_no_statistics() {
        let (dir, file) = written(&[]);
        assert_eq!(file.read().unwrap(), Stats::default());
        file.truncate(0).unwrap();
        fs::create_dir(file.path()).unwrap();
        assert!(file.read().is_err() && file.truncate(0).is_err());
        fs::remove_dir(file.path()).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(dir.path().join("gone"), file.path()).unwrap();
            assert!(file.read().is_err() && file.truncate(0).is_err());
        }
        drop(dir);
    }
}
