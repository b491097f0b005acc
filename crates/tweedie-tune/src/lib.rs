//! Tunes a sampler: for a denoiser and a number of network calls, the best setting, and how sure
//! that is.
//!
//! A [`Candidate`] is a setting: a sampler, its amount of noise, its grid of noise levels. A
//! [`Space`] turns points of a unit cube into candidates. A [`Subject`] is what is tuned: it draws
//! samples by a candidate and gives their features. [`race`](race()) compares candidates at equal
//! seeds and drops those that are worse beyond doubt; [`search`](search()) measures settings where a
//! model of those measured expects most, races the best, and reports on fresh seeds against a part
//! of the data that the search did not see. [`profile`](profile()) measures one family along its step
//! size, and [`study`](study()) draws what a network's quality depends on.
//!
//! Differences are paired: both samples of a pair have the same noise, so that what they have in
//! common falls out (common random numbers).
//!
//! [`rival`] has what others do in the same frame, so that claims can be checked against it.

#![deny(missing_docs)]

mod cache;
mod candidate;
mod cma_es;
mod explore;
mod export;
mod fault;
mod grid;
mod guard;
mod job;
mod objective;
mod page;
mod per_step;
mod profile;
mod race;
mod recipe;
pub mod rival;
mod run_subject;
mod search;
mod seeds;
mod space;
mod stand;
mod study;
mod subject;
mod surrogate;

pub use cache::Cache;
pub use candidate::Candidate;
pub use cma_es::{CmaEs, usual_points};
pub use export::{NetworkNoise, diffusers, sigmas_line};
pub use grid::Grid;
pub use guard::Guards;
pub use job::{Found, TuneJob, Tuning, tune};
pub use objective::Objective;
pub use per_step::{MOST_LEVELS, PerStep, Refined, fewest_evaluations, per_step};
pub use profile::{Profile, ProfilePoint, profile};
pub use race::{Dropped, Race, Ranking, Standing, race};
pub use run_subject::RunSubject;
pub use search::{Baseline, Outcome, Search, Stop, Tuned, search};
pub use space::{AXES, Point, Solver, Space};
pub use stand::Stand;
pub use study::{
    GridFigure, GridRow, LastStepFigure, LastStepPoint, Moved, StepSizeFigure, StudyJob, Transfer,
    TuningStudy, UntunedFigure, UntunedRow, study,
};
pub use subject::{DenoiserSubject, Drawing, Subject};
