//! How this machine multiplies bf16 numbers.

use std::sync::LazyLock;

use crate::InstructionSet;

/// A way of multiplying bf16 numbers on this machine. Only detection makes one, so to hold it is
/// proof that the machine has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit(pub(super) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Widened to `f32` first.
    Widened(InstructionSet),
    /// Tiles, by AMX.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Tiles,
}

static AVAILABLE: LazyLock<Vec<Unit>> = LazyLock::new(|| {
    let mut found: Vec<Unit> = InstructionSet::available()
        .iter()
        .map(|&isa| Unit(Kind::Widened(isa)))
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
        // At least the portable instruction set is there.
        AVAILABLE[AVAILABLE.len() - 1]
    }

    /// All of this machine, slowest first.
    pub fn available() -> &'static [Self] {
        &AVAILABLE
    }
}
