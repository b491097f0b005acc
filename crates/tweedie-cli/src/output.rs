//! Standard output: a failed write is an error, except for a closed pipe.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use tweedie::{Error, Result};

/// The first failure to print. It does not interrupt work in progress.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Whether standard output holds the result as JSON, and nothing else.
static JSON: AtomicBool = AtomicBool::new(false);

/// From now on results are printed as JSON, and all else that is said goes to stderr.
pub fn use_json(json: bool) {
    JSON.store(json, Ordering::Relaxed);
}

/// Whether results are printed as JSON.
pub fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Prints a line.
pub fn say(text: Arguments<'_>) {
    match is_json() {
        true => note!("{text}"),
        false => remember(writeln!(io::stdout(), "{text}")),
    }
}

/// Prints what a job came to: as JSON where that is asked for, otherwise in `words`.
pub fn result<T: Serialize>(result: &T, words: impl FnOnce(&T)) {
    if !is_json() {
        return words(result);
    }
    // In one piece, so that whatever fails leaves no half of a document.
    let text = serde_json::to_string(result).map_err(io::Error::from);
    remember(text.and_then(|text| writeln!(io::stdout(), "{text}")));
}

/// Whether everything was printed.
///
/// # Errors
/// The first failure.
pub fn finish() -> Result<()> {
    remember(io::stdout().flush());
    let mut failed = FAILED.lock().unwrap_or_else(|e| e.into_inner());
    match failed.take() {
        Some(error) => Err(Error::io("write", "standard output")(error)),
        None => Ok(()),
    }
}

/// Prints help, the version, or errors in the arguments.
pub fn answer(answer: &clap::Error) -> ExitCode {
    remember(answer.print());
    match finish() {
        // Where stderr fails, only the exit code is left.
        Err(error) if !answer.use_stderr() => {
            note!("error: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(1)),
    }
}

fn remember(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != ErrorKind::BrokenPipe
    {
        let mut failed = FAILED.lock().unwrap_or_else(|e| e.into_inner());
        failed.get_or_insert(error);
    }
}
