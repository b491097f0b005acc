//! Whose fault an error is: a setting's, which is then no rival, or the search's, which ends.

use tweedie::{Error, Result};

use crate::Dropped;

/// `error` where it is the setting's own: not feasible, or no finite samples.
///
/// # Errors
/// `error` itself where it ends the search: a wish to stop, or the system's refusal.
pub(crate) fn of_setting(error: Error) -> Result<Error> {
    match error {
        Error::Stopped | Error::Io { .. } => Err(error),
        own => Ok(own),
    }
}

/// What was found; none where that is the setting's own fault.
///
/// # Errors
/// As for [`of_setting`].
pub(crate) fn unless_of_setting<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) => of_setting(error).map(|_| None),
    }
}

/// That none of `settings` settings is left, with what the first of those `dropped` says.
pub(crate) fn none_left(dropped: &[Dropped], settings: usize) -> Error {
    let reason = match dropped.first() {
        Some(first) => format!(
            "all fail, the first ({}): {}",
            first.candidate, first.reason
        ),
        None => "there are none".into(),
    };
    Error::setting("candidates", settings, reason)
}
