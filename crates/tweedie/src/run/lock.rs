//! One writer at a time: a lock on a folder, which the system releases when the process that holds
//! it ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// The file that is locked; it names the process that holds it.
pub(super) const NAME: &str = "tweedie.lock";

/// The lock of a folder, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock of `folder`, which must exist.
    ///
    /// On a file system without locks, two writers cannot be detected.
    ///
    /// # Errors
    /// When another process holds it: the message names its number and host.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        loop {
            let mut file = open(&path).map_err(Error::io("lock", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path)(e)),
                Err(TryLockError::WouldBlock) => {
                    let holder = holder(&mut file);
                    let reason = format!(
                        "is being written to by {holder}; let it finish or stop it, or choose \
                         another folder with --out"
                    );
                    return Err(Error::content(folder, reason));
                }
            }
            // The previous holder may have removed the file between its opening and its locking.
            if !is_still(&path, &file) {
                continue;
            }
            let who = format!("process {} on {}\n", std::process::id(), host());
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(who.as_bytes()))
                .map_err(Error::io("lock", &path))?;
            return Ok(Self { path, file });
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While the lock is still held, so that the file is not another process's.
        if cfg!(unix) && is_still(&self.path, &self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The holder of the lock of `file`, as written there; it may take a moment to appear.
fn holder(file: &mut File) -> String {
    for _ in 0..20 {
        let mut text = String::new();
        // A failure only makes the message less informative.
        let _ = file.rewind();
        let _ = Read::by_ref(file).take(300).read_to_string(&mut text);
        if let Some((who, _)) = text.split_once('\n') {
            return who.to_owned();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    "another process".into()
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A link in its place leads to a file that must not be written to.
        options.custom_flags(libc::O_NOFOLLOW);
    }
    options.open(path)
}

/// Whether `path` still names the open `file`.
fn is_still(path: &Path, file: &File) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let inode = |found: fs::Metadata| (found.dev(), found.ino());
        let open = file.metadata().map(inode).ok();
        open.is_some() && open == fs::symlink_metadata(path).map(inode).ok()
    }
    #[cfg(not(unix))]
    {
        let _ = (path, file);
        true
    }
}

/// This machine's name.
fn host() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    match name.is_empty() {
        true => "this machine".into(),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_refused_with_the_first_ones_name() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let error = Lock::take(dir.path()).unwrap_err().to_string();
        let process = format!("process {} on ", std::process::id());
        assert!(error.contains(&process), "{error}");
        drop(first);
        // Nothing is left, and what a killed process leaves is no hindrance.
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::write(dir.path().join(NAME), "process 1 on a host of old times").unwrap();
        let next = Lock::take(dir.path()).unwrap();
        let who = fs::read_to_string(dir.path().join(NAME)).unwrap();
        assert!(who.starts_with(&process) && !who.contains("old"), "{who}");
        drop(next);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("precious");
        fs::write(&precious, "mine").unwrap();
        std::os::unix::fs::symlink(&precious, dir.path().join(NAME)).unwrap();
        assert!(Lock::take(dir.path()).is_err());
        assert_eq!(fs::read(&precious).unwrap(), b"mine");
    }

    #[test]
    fn of_many_at_once_one_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            let taken: Vec<Result<Lock>> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|_| scope.spawn(|| Lock::take(dir.path())))
                    .collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            assert_eq!(taken.iter().filter(|lock| lock.is_ok()).count(), 1);
        }
    }
}
