//! One or several networks, trained alternately.
//!
//! The state is the groups (weights, moments, averages) and the number of completed rounds, which
//! determines which update of which network comes next and all its random numbers. So a resumed
//! run equals an uninterrupted one bit for bit.

use super::gradient::{Clip, Hook, NetworkGradient, Turn};
use super::state::{Sections, sections_of};
use super::sums::sum;
use super::{Checkpoint, Draw, ExampleLosses, Group, Networks, Phase, UpdateReport};
use crate::error::{Divergence, Error, Result};
use crate::nn::{Network, params};

/// Networks in training, and the phases of a round.
pub struct Alternation<'a> {
    groups: Vec<(String, Group)>,
    phases: Vec<Phase<'a>>,
    hooks: Vec<Box<dyn Hook + 'a>>,
    step: u64,
}

impl<'a> Alternation<'a> {
    /// Starts at round 0. In a checkpoint, the sections of every group but the first have the
    /// network's name as a prefix.
    ///
    /// # Errors
    /// When two networks have the same name, a phase names none of them, or a phase's numbers are
    /// invalid.
    pub fn new(groups: Vec<(String, Group)>, phases: Vec<Phase<'a>>) -> Result<Self> {
        for (place, (name, _)) in groups.iter().enumerate() {
            if name.is_empty() || name.contains('/') {
                let reason = "the name of a network has letters, and no slash";
                return Err(Error::setting("network", name, reason));
            }
            if groups[..place].iter().any(|(other, _)| other == name) {
                let reason = "is the name of two networks";
                return Err(Error::setting("network", name, reason));
            }
        }
        for phase in &phases {
            if groups.iter().all(|(name, _)| *name != phase.network) {
                let reason = "has a phase, but is not in training";
                return Err(Error::setting("network", &phase.network, reason));
            }
            if phase.times == 0 || phase.batch == 0 {
                let name = if phase.times == 0 { "times" } else { "batch" };
                return Err(Error::setting(name, 0, "must be 1 or more"));
            }
            if !phase.batch.is_multiple_of(phase.accumulate) {
                let reason = format!("must divide batch = {}", phase.batch);
                return Err(Error::setting("accumulate", phase.accumulate, reason));
            }
        }
        Ok(Self {
            groups,
            phases,
            hooks: Vec::new(),
            step: 0,
        })
    }

    /// Adds `hook`, which is called on every complete gradient, after the hooks added before.
    #[must_use]
    pub fn with_hook(mut self, hook: impl Hook + 'a) -> Self {
        self.hooks.push(Box::new(hook));
        self
    }

    /// Completed rounds.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The network `name` with its optimiser.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn group(&self, name: &str) -> Result<&Group> {
        let found = self.groups.iter().find(|(other, _)| other == name);
        let found = found.map(|(_, group)| group);
        found.ok_or_else(|| Error::setting("network", name, "is not in training"))
    }

    /// The network `name` as it is now.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn network(&self, name: &str) -> Result<&Network> {
        self.group(name).map(Group::network)
    }

    /// Runs one round, every phase in order, and reports each update.
    ///
    /// # Errors
    /// [`Error::Diverged`] when a loss, a gradient or new weights are not finite, and the errors of
    /// objectives and hooks. The networks cannot be used after that; go back to the last
    /// checkpoint.
    pub fn update(&mut self) -> Result<Vec<UpdateReport>> {
        // On a thread of the pool, so that parallel loops need not wake one up to start.
        rayon::scope(|_| self.round())
    }

    fn round(&mut self) -> Result<Vec<UpdateReport>> {
        let mut reports = Vec::new();
        for phase in 0..self.phases.len() {
            let first = self.first_update(phase);
            for number in first..first + self.phases[phase].times {
                reports.push(self.update_one(phase, number)?);
            }
        }
        self.step += 1;
        Ok(reports)
    }

    /// The number of the first update of `phase` in this round, among all of its network.
    fn first_update(&self, phase: usize) -> u64 {
        let network = &self.phases[phase].network;
        let updates = |phases: &[Phase<'_>]| -> u64 {
            let own = phases.iter().filter(|other| other.network == *network);
            own.map(|phase| phase.times).sum()
        };
        self.step * updates(&self.phases) + updates(&self.phases[..phase])
    }

    /// Update `number` of the network of `phase`.
    fn update_one(&mut self, phase: usize, number: u64) -> Result<UpdateReport> {
        let step = self.step;
        let phase = &mut self.phases[phase];
        let names = self.groups.iter().map(|(name, _)| name);
        let mut names = names
            .enumerate()
            .filter(|(_, name)| **name == phase.network);
        // Phases without a group were refused.
        let trained = names.next().map_or(0, |(place, _)| place);
        let diverged = |found| Error::Diverged {
            step,
            found,
            checkpoint: "lower lr, or set clip = 1".into(),
        };
        let parameter = |name: String| match trained {
            0 => name,
            _ => format!("{}/{name}", phase.network),
        };

        let mut gradient: Option<NetworkGradient> = None;
        let (mut losses, mut sigmas) = (Vec::new(), Vec::new());
        let part = phase.batch / phase.accumulate;
        for places in (0..phase.batch).step_by(part).map(|from| from..from + part) {
            let networks = Networks {
                groups: &self.groups,
                trained,
            };
            let draw = Draw {
                update: number,
                batch: phase.batch,
                places,
            };
            let found = phase.objective.losses(&networks, &draw)?;
            check(&found, part)?;
            let values = params::to_vec(found.each.clone().inner());
            if let Some(place) = values.iter().position(|loss| !loss.is_finite()) {
                let sigma = found.sigmas.get(place).copied();
                return Err(diverged(Divergence::Loss { sigma }));
            }
            let mut mean = found.each.mean();
            if phase.accumulate > 1 {
                mean = mean / phase.accumulate as f64;
            }
            let of_part = self.groups[trained].1.gradient(&mut mean.backward());
            match &mut gradient {
                Some(gradient) => gradient.add(of_part),
                None => gradient = Some(of_part),
            }
            join(&mut losses, values);
            join(&mut sigmas, found.sigmas);
        }
        let Some(mut gradient) = gradient else {
            return Err(Error::setting("batch", 0, "must be 1 or more"));
        };

        let turn = Turn {
            network: &phase.network,
            update: number,
        };
        for hook in &mut self.hooks {
            hook.complete(turn, &mut gradient)?;
        }
        let norm = gradient.norm();
        if !norm.is_finite() {
            let parameter = parameter(gradient.not_finite().unwrap_or_default());
            return Err(diverged(Divergence::Gradient { parameter }));
        }
        let group = &mut self.groups[trained].1;
        if let Some(clip) = group.config().clip {
            Clip(clip).complete(turn, &mut gradient)?;
        }
        let rate = group.rate(number);
        // Checked at once, so that no checkpoint ever holds them.
        if let Some(name) = group.update(gradient, number)? {
            let parameter = parameter(name);
            return Err(diverged(Divergence::Weights { parameter }));
        }
        Ok(UpdateReport {
            network: phase.network.clone(),
            update: number,
            loss: sum(&losses, |loss| loss) / losses.len() as f64,
            losses,
            sigmas,
            gradient_norm: norm,
            rate,
        })
    }

    /// The state to store.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut sections = Sections::new();
        for (place, (network, group)) in self.groups.iter().enumerate() {
            let own = group.sections().into_iter();
            sections.extend(own.map(|(section, arrays)| match place {
                0 => (section, arrays),
                _ => (format!("{network}/{section}"), arrays),
            }));
        }
        Checkpoint {
            step: self.step,
            sections,
        }
    }

    /// Continues from a stored state of the same networks, which is moved in.
    ///
    /// # Errors
    /// When the state lacks one of the networks, or has another in its place.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let Checkpoint { step, mut sections } = checkpoint;
        for (place, (network, group)) in self.groups.iter_mut().enumerate() {
            let name = if place == 0 { "" } else { &network[..] };
            group.restore(sections_of(&mut sections, name))?;
        }
        self.step = step;
        Ok(())
    }
}

/// Appends the values of a further part; those of the first are moved in.
fn join<T>(all: &mut Vec<T>, mut part: Vec<T>) {
    match all.is_empty() {
        true => *all = part,
        false => all.append(&mut part),
    }
}

/// An objective must return one loss per example, and a noise level for each or for none.
fn check(found: &ExampleLosses, examples: usize) -> Result<()> {
    let [losses] = found.each.dims();
    let shape = |what: &str, found| {
        let what = format!("{what} of an objective");
        let expected = vec![examples];
        Err(Error::Shape {
            what,
            expected,
            found: vec![found],
        })
    };
    if losses != examples {
        return shape("the losses", losses);
    }
    match found.sigmas.len() {
        n if n == examples || n == 0 => Ok(()),
        n => shape("the noise levels", n),
    }
}
