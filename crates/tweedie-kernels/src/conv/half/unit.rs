//! Which way of multiplying bf16 numbers the machine has.

use std::sync::LazyLock;

use crate::Level;

/// A way of multiplying bf16 numbers that this machine has; the only way to one is to find it
/// here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit(pub(super) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Widened to `f32` first.
    Widened(Level),
    /// Tiles, by AMX.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Tiles,
}

static AVAILABLE: LazyLock<Vec<Unit>> = LazyLock::new(|| {
    let mut found: Vec<Unit> = Level::available()
        .iter()
        .map(|&level| Unit(Kind::Widened(level)))
        .collect();
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if is_x86_feature_detected!("avx512f") && super::amx::permitted() {
        found.push(Unit(Kind::Tiles));
    }
    found
});

impl Unit {
    /// The fastest of this machine.
    pub fn best() -> Self {
        // At least the portable level is there.
        AVAILABLE[AVAILABLE.len() - 1]
    }

    /// All of this machine, slowest first.
    pub fn available() -> &'static [Self] {
        &AVAILABLE
    }
}
