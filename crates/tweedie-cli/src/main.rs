//! The program: parses, calls the library, prints.

/// Prints a line on stdout. A failed write makes the program fail at its end; a closed pipe does
/// not.
macro_rules! say {
    () => { say!("") };
    ($($text:tt)*) => { $crate::output::say(format_args!($($text)*)) };
}

/// Prints a line on stderr, ignoring failures, which cannot be reported anywhere.
macro_rules! note {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod args;
mod commands;
mod output;
mod progress;
mod signals;

use std::process::ExitCode;

use clap::Parser;
use tweedie::{Error, Result};

use crate::args::{Args, Command};

fn main() -> ExitCode {
    tweedie::memory::keep_freed_memory();
    let result = match Args::try_parse() {
        Ok(args) => {
            output::use_json(args.command.json());
            run(args.command)
        }
        Err(answer) => return output::answer(&answer),
    };
    // The first error is the one to report.
    match result.and_then(|()| output::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Stopped) => signals::exit_code(),
        Err(error) => {
            note!("error: {error}{}", by_flag(&error));
            ExitCode::FAILURE
        }
    }
}

/// The library's way out, as it goes here.
fn by_flag(error: &Error) -> String {
    match error {
        Error::Damaged {
            whole: Some(step), ..
        } => format!(" (--checkpoint {step} takes that one)"),
        _ => String::new(),
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo(args) => commands::demo::run(&args),
        Command::Levels(args) => commands::levels::run(&args),
        Command::Train(args) => commands::train::run(&args),
        Command::Sample(args) => commands::sample::run(&args),
        Command::Likelihood(args) => commands::likelihood::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Evaluate(args) => commands::evaluate::run(&args),
        Command::Tune(args) => commands::tune::run(&args),
        Command::Profile(args) => commands::profile::run(&args),
        Command::Study(args) => commands::study::run(&args),
        Command::Classifier(args) => commands::classifier::run(&args),
    }
}
