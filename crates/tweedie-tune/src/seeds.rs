//! The numbers of samples: far from those that users draw, and no two purposes share any, so that no
//! figure is of samples that something was chosen by.

/// A purpose's samples: the number of the first, before a seed moves it on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seeds {
    /// The first stage of a search.
    Explore = 1,
    /// Its race.
    Race = 2,
    /// Its report. (3 was a second race's.)
    Report = 4,
    /// The guards.
    Guards = 5,
    /// The figures of a run.
    Study = 6,
    /// The trajectories from which levels follow.
    Trajectories = 7,
    /// The optimisation of each step.
    PerStep = 8,
    /// Its test.
    PerStepTest = 9,
}

impl Seeds {
    /// The number of the first sample by `seed`; seeds are 2^20 samples apart.
    pub(crate) const fn first(self, seed: u32) -> u64 {
        ((self as u64) << 40) + ((seed as u64) << 20)
    }
}
