//! `sample.json`: what a folder of samples holds and how far it is, so that a stopped `sample` can
//! continue, and samples of other settings are not mixed with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{Draw, Model, lock};
use crate::error::{Error, Result};
use crate::files::{read_if_there, write_atomic};
use crate::train::digest;

const NAME: &str = "sample.json";
const FORMAT: u32 = 1;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub format: u32,
    /// Everything that the samples depend on, by name.
    pub settings: BTreeMap<String, String>,
    /// The first seed and the one after the last.
    pub seeds: [u64; 2],
    /// Whether each sample has a PNG file.
    pub pictures: bool,
    /// Number of samples synced to the disk.
    pub done: u64,
    /// The most network calls that a sample took.
    pub calls: usize,
    /// Whether everything is written.
    pub complete: bool,
}

impl Manifest {
    /// The manifest of a new folder.
    pub fn new(model: &Model, draw: &Draw, pictures: bool) -> Result<Self> {
        let sample = Table::try_from(&draw.sample)
            .map_err(|e| Error::setting("sample", "settings", e.to_string()))?;
        let mut settings: BTreeMap<String, String> = sample
            .into_iter()
            .map(|(key, value)| (key, value.to_string()))
            .collect();
        let config = model.config();
        // The rest of the configuration only describes how the weights were trained.
        let meaning = [
            Value::try_from(&config.network).map(|v| v.to_string()),
            Value::try_from(&config.noise).map(|v| v.to_string()),
        ];
        let data = serde_json::to_string(model.data()).unwrap_or_default();
        let [network, noise] = meaning.map(Result::unwrap_or_default);
        settings.extend([
            ("step".into(), model.step().to_string()),
            ("weights".into(), model.digest().unwrap_or_default().into()),
            ("network".into(), digest((network + &noise).as_bytes())),
            ("data".into(), digest(data.as_bytes())),
            ("engine".into(), format!("{:?}", config.train.engine)),
        ]);
        if draw.sample.needs_curve() {
            // The levels are a function of it.
            let curve = model.loss_curve()?.digest.clone();
            settings.insert("loss curve".into(), curve);
        }
        Ok(Self {
            format: FORMAT,
            settings,
            seeds: [draw.seeds.start, draw.seeds.end],
            pictures,
            done: 0,
            calls: 0,
            complete: false,
        })
    }

    /// The manifest of `folder`; `None` where the folder is empty or was written by a version
    /// without this file.
    ///
    /// # Errors
    /// When the folder holds anything else.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(NAME);
        let way_out = "remove the folder, or choose another with --out";
        let Some(bytes) = read_if_there(&path)? else {
            return match foreign(folder)? {
                None => Ok(None),
                Some(name) => {
                    let reason = format!(
                        "holds other things than samples ({name}); choose another folder with --out"
                    );
                    Err(Error::content(folder, reason))
                }
            };
        };
        let found: Self = serde_json::from_slice(&bytes)
            .map_err(|e| Error::content(&path, format!("is damaged ({e}); {way_out}")))?;
        match found.format == FORMAT && found.done <= found.seeds[1].saturating_sub(found.seeds[0])
        {
            true => Ok(Some(found)),
            false => {
                let reason = format!("is damaged, or of another version; {way_out}");
                Err(Error::content(&path, reason))
            }
        }
    }

    /// Takes over the progress of `found`, if it is of the same samples.
    ///
    /// # Errors
    /// Names what differs, and the way out.
    pub fn go_on_from(&mut self, found: Self, folder: &Path) -> Result<()> {
        let seeds = |of: &Self| format!("{}-{}", of.seeds[0], of.seeds[1].saturating_sub(1));
        let keys = self.settings.keys().chain(found.settings.keys());
        let difference = keys
            .map(|key| {
                let of = |settings: &BTreeMap<String, String>| {
                    settings
                        .get(key)
                        .map_or("absent", String::as_str)
                        .to_owned()
                };
                (key.as_str(), of(&found.settings), of(&self.settings))
            })
            .chain([("seeds", seeds(&found), seeds(self))])
            .find(|(_, there, here)| there != here);
        if let Some((key, there, here)) = difference {
            let short = |text: String| text.chars().take(40).collect::<String>();
            let reason = format!(
                "holds samples drawn with other settings ({key}: {} there, {} now); remove the folder, \
                 or choose another with --out",
                short(there),
                short(here)
            );
            return Err(Error::content(folder, reason));
        }
        // If pictures were not asked for then, all are drawn now.
        if found.pictures || !self.pictures {
            (self.done, self.calls, self.complete) = (found.done, found.calls, found.complete);
            self.pictures = found.pictures;
        }
        Ok(())
    }

    /// Writes it to `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(NAME);
        let bytes =
            serde_json::to_vec_pretty(self).map_err(|e| Error::content(&path, e.to_string()))?;
        write_atomic(&path, &bytes)
    }
}

/// The name of something in `folder` that no `sample` before this file was known has written;
/// none where there is nothing, or its whole output.
fn foreign(folder: &Path) -> Result<Option<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("list", folder)(e)),
    };
    let names: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.file_name().into()))
        .collect::<std::io::Result<_>>()
        .map_err(Error::io("list", folder))?;
    let name = |path: &PathBuf| path.to_string_lossy().into_owned();
    let names = || names.iter().map(name);
    let passing = |name: &str| name == lock::NAME || name.ends_with(".partial");
    let numbered = |name: &str| {
        name.strip_suffix(".png")
            .is_some_and(|stem| stem.len() >= 6 && stem.bytes().all(|b| b.is_ascii_digit()))
    };
    let whole = names().any(|name| name == "samples.npz")
        && names().any(|name| name == "grid.png" || name == "samples.png");
    let mut others = names().filter(|name| !passing(name));
    Ok(others.find(|name| {
        let ours = ["samples.npz", "grid.png", "samples.png"].contains(&name.as_str());
        !(whole && (ours || numbered(name)))
    }))
}
