//! The commands, one per file.

pub mod demo;
pub mod levels;
pub mod likelihood;
pub mod report;
pub mod sample;
pub mod study;
pub mod train;
