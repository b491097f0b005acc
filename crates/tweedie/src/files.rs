//! Atomic writes: a reader never sees half a file, and nothing that was there before is lost.
//!
//! A file is written under a temporary name in the same folder, synced, and renamed into place. A
//! link stays a link and its target is replaced; a device or a pipe is written to, not replaced;
//! modes are kept.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// The suffix of a file's name while it is being written.
const PARTIAL: &str = ".partial";
/// Number of random letters before the suffix.
const LETTERS: usize = 12;
/// Number of letters of the file's own name before those.
const OWN_LETTERS: usize = 60;

/// Writes `bytes` to `path` through a file beside it, synced and renamed into place.
///
/// Missing parent folders are created. If anything fails (no permission, a full disk), what was
/// at `path` before is untouched and the partial file is removed. Where `path` is a link, its
/// target is replaced; a pipe or a character device is written to.
///
/// # Errors
/// When the system refuses, or `path` is a folder, a disk, a socket, or a link to nothing.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_one_of_many(path, bytes)?;
    // A stream is not replaced in a folder, but its folder exists.
    sync(parent(path)).map_err(Error::io("write", path))
}

/// [`write_atomic`] for one of many files in a folder, which the caller makes durable together
/// by [`sync_folder`].
pub(crate) fn write_one_of_many(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = parent(path);
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let failed = |e| Error::io("write", path)(e);
    if is_stdout(path) {
        let mut out = std::io::stdout().lock();
        return out
            .write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(failed);
    }
    match place(path)? {
        Place::File(path, old) => {
            replace(&path, old.as_ref(), &mut |file| file.write_all(bytes)).map_err(failed)
        }
        Place::Stream => OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut stream| stream.write_all(bytes))
            .map_err(failed),
    }
}

/// [`write_atomic`] for content that does not fit in memory: `write` fills the file, and may be
/// called again.
pub(crate) fn write_with(
    path: &Path,
    write: &mut dyn FnMut(&mut File) -> std::io::Result<()>,
) -> Result<()> {
    let failed = |e| Error::io("write", path)(e);
    match place(path)? {
        Place::File(path, old) => replace(&path, old.as_ref(), write)
            .and_then(|()| sync(parent(&path)))
            .map_err(failed),
        Place::Stream => Err(Error::content(path, "is not a file; choose another folder")),
    }
}

/// Where bytes for a path go.
enum Place {
    /// To this file, which may exist already.
    File(PathBuf, Option<Metadata>),
    /// Into an existing stream.
    Stream,
}

fn place(path: &Path) -> Result<Place> {
    let refuse = |reason: &str| Err(Error::content(path, reason));
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return match fs::symlink_metadata(path) {
                Ok(_) => refuse("is a link that leads nowhere; remove it, or choose another file"),
                Err(_) => Ok(Place::File(path.to_owned(), None)),
            };
        }
        Err(e) => return Err(Error::io("write", path)(e)),
    };
    if found.is_dir() {
        return refuse("is a folder; choose the name of a file");
    }
    if found.is_file() {
        // The path of the link's target, so that the link stays.
        let target = fs::canonicalize(path).map_err(Error::io("write", path))?;
        return Ok(Place::File(target, Some(found)));
    }
    match takes_a_stream(&found) {
        true => Ok(Place::Stream),
        false => refuse("is neither a file nor a pipe; choose another file"),
    }
}

#[cfg(unix)]
fn takes_a_stream(found: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let kind = found.file_type();
    kind.is_fifo() || kind.is_char_device()
}

#[cfg(not(unix))]
fn takes_a_stream(_: &Metadata) -> bool {
    false
}

/// Whether `path` names this process's standard output, where the bytes must keep their order
/// among everything else that is printed.
fn is_stdout(path: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
        .iter()
        .any(|name| path == Path::new(name))
}

fn replace(
    path: &Path,
    old: Option<&Metadata>,
    write: &mut dyn FnMut(&mut File) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut tries = 0;
    loop {
        let mut partial = create_beside(path)?;
        write(partial.as_file_mut())?;
        if let Some(old) = old {
            keep_mode(partial.as_file(), old)?;
        }
        partial.as_file().sync_all()?;
        match partial.persist(path) {
            Ok(_) => return Ok(()),
            // Between its creation and its lock, another process may take it for an abandoned one.
            Err(e) if e.error.kind() == ErrorKind::NotFound && tries < 3 => tries += 1,
            Err(e) => return Err(e.error),
        }
    }
}

/// A new file beside `path`, under an unpredictable name, locked while it is written.
fn create_beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let own: String = name.chars().take(OWN_LETTERS).collect();
    let mut builder = tempfile::Builder::new();
    let prefix = format!("{own}.");
    builder.prefix(&prefix).suffix(PARTIAL).rand_bytes(LETTERS);
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        // Reduced by the umask, as for every new file.
        builder.permissions(fs::Permissions::from_mode(0o666))
    };
    let file = builder.tempfile_in(parent(path))?;
    // Where locks are not supported, a file being written cannot be told from an abandoned one.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Gives `file` the permissions and, where that is allowed, the owner of `old`.
fn keep_mode(file: &File, old: &Metadata) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            // Only root may give files away; others own what they write.
            let _ = fchown(file, Some(old.uid()), Some(old.gid()));
        }
    }
    file.set_permissions(old.permissions())
}

/// Removes the partial files that killed processes left in `folder` itself: none that a process
/// is still writing, no link, no folder.
pub(crate) fn sweep(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // A file in place of the folder holds no partial files.
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(e) => return Err(Error::io("list", folder)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("list", folder))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file || !entry.file_name().to_str().is_some_and(is_partial) {
            continue;
        }
        let path = entry.path();
        // The writer holds its lock, and the system releases the locks of a dead process.
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            // It may just have been finished and renamed.
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

/// Whether a file of this name was begun by [`write_atomic`], or, with digits, by version 0.1.0.
fn is_partial(name: &str) -> bool {
    let stem = name.strip_suffix(PARTIAL);
    stem.and_then(|stem| stem.rsplit_once('.'))
        .is_some_and(|(_, letters)| {
            let digits = !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_digit());
            let random =
                letters.len() == LETTERS && letters.bytes().all(|b| b.is_ascii_alphanumeric());
            digits || random
        })
}

/// Claims `folder` for the output of `command` and marks it so: a new folder, an empty one, or one
/// with earlier output of the same command, which is replaced.
///
/// # Errors
/// When it holds anything else, or the system refuses.
pub fn claim_folder(folder: &Path, command: &str) -> Result<()> {
    let marker = folder.join(format!(".tweedie-{command}"));
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    let mut entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    if is_entry(&marker)? || (command == "study" && is_study(folder)) {
        return Ok(());
    }
    if entries.next().is_some() {
        let reason =
            format!("holds files that no earlier `tweedie {command}` wrote; choose another folder");
        return Err(Error::content(folder, reason));
    }
    let text = format!("made by `tweedie {command}`, which replaces what it wrote here\n");
    write_atomic(&marker, text.as_bytes())
}

/// Gives up [`claim_folder`]'s claim of a `folder` that it made, where nothing was written into it.
///
/// # Errors
/// When the system refuses.
pub fn release_folder(folder: &Path, command: &str) -> Result<()> {
    let marker = format!(".tweedie-{command}");
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        if entry.file_name() != *marker {
            return Ok(());
        }
    }
    fs::remove_file(folder.join(marker)).map_err(Error::io("remove the mark of", folder))?;
    fs::remove_dir(folder).map_err(Error::io("remove", folder))
}

/// Whether a folder without a mark was written by a study of version 0.1.0, recognised by its page.
fn is_study(folder: &Path) -> bool {
    let page = fs::read_to_string(folder.join("index.html")).unwrap_or_default();
    page.contains("Content-Security-Policy") && page.contains("Beside this page: ")
}

/// Whether something has this name, a link included.
pub(crate) fn is_entry(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// The bytes of the file at `path`; `None` where nothing has this name.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => match fs::symlink_metadata(path) {
            // A dangling link is an error, not a missing file.
            Ok(_) => Err(Error::io("read", path)(e)),
            Err(_) => Ok(None),
        },
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// Syncs `folder`, so that the names in it are as durable as the files.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    sync(folder).map_err(Error::io("sync", folder))
}

#[cfg(unix)]
fn sync(folder: &Path) -> std::io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot sync folders, and need not.
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

#[cfg(not(unix))]
fn sync(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Whether both are names of one existing file, links and hard links included.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    if let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) {
        use std::os::unix::fs::MetadataExt;
        return (a.dev(), a.ino()) == (b.dev(), b.ino());
    }
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
