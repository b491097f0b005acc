//! `tweedie classifier train` and `tweedie classifier test`.

use tweedie::measure::Reliability;
use tweedie::run::{
    Calibration, Classifier, ClassifierConfig, ClassifierSession, ClassifierTest, RunDir,
    test_classifier,
};
use tweedie::{Error, Result};

use super::in_data;
use super::train::{folder, tell, tell_event, tell_opening};
use crate::args;
use crate::output;
use crate::progress::{tell_if_stopped, watched};
use crate::signals;

pub fn run(args: &args::Classifier) -> Result<()> {
    match &args.command {
        args::ClassifierCommand::Train(args) => train(args),
        args::ClassifierCommand::Test(args) => test(args),
    }
}

fn train(args: &args::ClassifierTrain) -> Result<()> {
    let config = ClassifierConfig::load(&args.config, &args.set)?;
    let folder = folder(&args.config, args.out.as_deref());
    signals::catch()?;
    let mut session = match args.resume {
        true => ClassifierSession::resume(config, &folder, args.checkpoint)?,
        false => ClassifierSession::start(config, &folder)?,
    };
    tell_opening(&folder, session.data(), session.notes());
    let found = watched(|monitor| session.train(None, monitor, &mut tell_event));
    let found = tell_if_stopped(
        found,
        "the run is trained but not tested; go on with --resume",
    )?;
    output::result(&found, |found| {
        let trained = &found.trained;
        tell(trained);
        let folder = folder.display();
        if trained.stopped {
            return say!(
                "stopped; {} is written. Go on with: tweedie classifier train {} --resume --out \
                 {folder}",
                trained.checkpoint.display(),
                args.config.display(),
            );
        }
        if let Some(calibration) = &found.calibration {
            tell_calibration(calibration);
        }
        if let Some(test) = &found.test {
            tell_test(test);
        }
        say!("next: tweedie classifier test {folder} --data SOURCE");
    });
    match found.trained.stopped {
        true => Err(Error::Stopped),
        false => Ok(()),
    }
}

fn test(args: &args::ClassifierTest) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let classifier = Classifier::load(&run, args.checkpoint)?;
    let mut own = classifier.config().clone();
    let Some(source) = args.data.clone().or(own.test.take()) else {
        let reason = "the run's configuration names no test data; name some with --data";
        return Err(Error::setting("test", "none", reason));
    };
    own.data = own.data_from(&source);
    let changes = in_data(&args.set);
    let config = ClassifierConfig::parse(&own.to_toml(), &changes)
        .map_err(|reason| Error::setting("data", changes.join(" "), reason))?;
    let data = config.open_data()?;
    for note in data.notes() {
        say!("data: {note}");
    }
    let found = watched(|monitor| test_classifier(&classifier, &data, monitor));
    let found = tell_if_stopped(found, "nothing was counted")?;
    output::result(&found, tell_test);
    Ok(())
}

fn tell_calibration(found: &Calibration) {
    let right = 100.0 * found.correct as f64 / found.count as f64;
    say!("held out: {} items, {right:.2} % right", found.count);
    match found.temperature_error {
        Some(error) => say!("temperature: {:.4} ± {error:.4}", found.temperature),
        None => say!(
            "temperature: 1, as no temperature is best for these items: none of them is wrong, or \
             they are worse than chance"
        ),
    }
    tell_reliability(&found.before, Some(&found.after));
}

fn tell_test(found: &ClassifierTest) {
    let accuracy = &found.accuracy;
    let [low, high] = accuracy.interval.map(|end| 100.0 * end);
    say!("test: {} items of {}", accuracy.of, found.data);
    say!(
        "accuracy: {:.2} %, {} right (95 % interval {low:.2} to {high:.2} %)",
        100.0 * accuracy.value,
        accuracy.count
    );
    let after = found.temperature.map(|temperature| {
        say!("at the run's temperature, {temperature:.4}:");
        &found.after
    });
    if after.is_none() {
        say!("not calibrated: training has not ended, or this is another checkpoint");
    }
    tell_reliability(&found.before, after);
    tell_confusion(found);
}

fn tell_reliability(before: &Reliability, after: Option<&Reliability>) {
    let loss = |r: &Reliability| format!("{:.4} ± {:.4}", r.log_loss, r.log_loss_error);
    let error = |r: &Reliability| format!("{:.2} %", 100.0 * r.calibration_error);
    let both = |of: &dyn Fn(&Reliability) -> String| match after {
        Some(after) => format!("{} before, {} after", of(before), of(after)),
        None => of(before),
    };
    say!("  negative log likelihood: {}", both(&loss));
    say!("  expected calibration error: {}", both(&error));
}

/// More classes than these fit no terminal.
const MOST_COLUMNS: usize = 20;
/// Confusions that are listed then.
const MOST_LISTED: usize = 10;

fn tell_confusion(found: &ClassifierTest) {
    let ClassifierTest {
        classes, confusion, ..
    } = found;
    let name = |place: usize| -> String { classes[place].escape_debug().take(12).collect() };
    if classes.len() <= MOST_COLUMNS {
        let counts = confusion.iter().flatten().map(|n| n.to_string().len());
        let names = (0..classes.len()).map(|place| name(place).chars().count());
        let width = counts.chain(names).max().unwrap_or(1);
        say!("confusion (rows: the class, columns: what it was taken for):");
        let cells = (0..classes.len()).map(|place| format!(" {:>width$}", name(place)));
        say!("  {:>width$} {}", "", cells.collect::<String>());
        for (place, row) in confusion.iter().enumerate() {
            let cells = row.iter().map(|n| format!(" {n:>width$}"));
            say!("  {:>width$} {}", name(place), cells.collect::<String>());
        }
        return;
    }
    let mut wrong = Vec::new();
    for (class, row) in confusion.iter().enumerate() {
        let others = row.iter().enumerate().filter(|&(taken, _)| taken != class);
        wrong.extend(others.map(|(taken, &count)| (count, class, taken)));
    }
    wrong.sort_by(|a, b| b.cmp(a));
    say!("most frequent confusions:");
    for (count, class, taken) in wrong.into_iter().take(MOST_LISTED).filter(|w| w.0 > 0) {
        say!("  {count} of '{}' for '{}'", name(class), name(taken));
    }
}
