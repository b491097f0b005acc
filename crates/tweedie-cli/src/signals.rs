//! Ctrl-C and SIGTERM: the first asks the job to stop at a point from which it can be resumed, the
//! second ends the program at once.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tweedie::{Error, Result};

/// The signal received; 0 for none.
static CAME: LazyLock<Arc<AtomicUsize>> = LazyLock::new(|| Arc::new(AtomicUsize::new(0)));

/// Whether the handlers are installed.
static CAUGHT: AtomicBool = AtomicBool::new(false);

/// Installs the handlers.
///
/// # Errors
/// When the system refuses.
pub fn catch() -> Result<()> {
    if CAUGHT.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second signal sees the flag that the first one set.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))
            .and_then(|_| flag::register(signal, Arc::clone(&asked)))
            .and_then(|_| flag::register_usize(signal, Arc::clone(&CAME), signal as usize))
            .map_err(Error::io("catch", "signals"))?;
    }
    Ok(())
}

/// The answer of a job's watcher.
pub fn wish() -> ControlFlow<()> {
    match CAME.load(Ordering::Relaxed) {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

/// 128 plus the signal's number, by the convention of shells: 130 or 143.
pub fn exit_code() -> ExitCode {
    let signal = CAME.load(Ordering::Relaxed);
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
