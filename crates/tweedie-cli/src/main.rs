//! The program: parses, calls the library, prints.

/// Prints a line on stdout; a reader that has gone away is no reason to fail.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// Prints a line on stderr, likewise.
macro_rules! note {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod args;
mod commands;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    tweedie::memory::keep_freed_memory();
    let result = match Args::parse().command {
        Command::Demo(args) => commands::demo::run(&args),
        Command::Levels(args) => commands::levels::run(&args),
        Command::Train(args) => commands::train::run(&args),
        Command::Sample(args) => commands::sample::run(&args),
        Command::Likelihood(args) => commands::likelihood::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Study(args) => commands::study::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
