//! Standard output: a failed write is an error, except for a closed pipe.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Mutex;

use tweedie::{Error, Result};

/// The first failure to print. It does not interrupt work in progress.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line.
pub fn say(text: Arguments<'_>) {
    remember(writeln!(io::stdout(), "{text}"));
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
