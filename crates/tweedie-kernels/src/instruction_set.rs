//! The instruction sets of this machine, detected once at run time.

use std::sync::LazyLock;

/// An instruction set of this machine. Only detection makes one, so to hold it is proof that the
/// machine has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstructionSet(pub(crate) Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// What the compiler may assume anyway.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

static AVAILABLE: LazyLock<Vec<InstructionSet>> = LazyLock::new(|| {
    #[allow(unused_mut)]
    let mut found = vec![InstructionSet(Set::Portable)];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            found.push(InstructionSet(Set::Avx2));
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                found.push(InstructionSet(Set::Avx512));
            }
        }
    }
    found
});

impl InstructionSet {
    /// The fastest of this machine.
    pub fn best() -> Self {
        *AVAILABLE.last().unwrap_or(&Self(Set::Portable))
    }

    /// All of this machine, slowest first.
    pub fn available() -> &'static [Self] {
        &AVAILABLE
    }

    /// Outputs that the register-blocked kernels compute side by side.
    pub(crate) fn widest(self) -> usize {
        match self.0 {
            Set::Portable => 8,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => 16,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => 32,
        }
    }
}

/// Defines a function `name(isa, arguments...)` whose body, an `#[inline(always)]` function
/// generic over `const FMA: bool`, is compiled once for each instruction set.
///
/// `f32::mul_add` is a slow library call where the instruction is missing, so a body uses it
/// only under `FMA`.
macro_rules! by_instruction_set {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? =
        $portable:expr, $avx2:expr, $avx512:expr) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(isa: $crate::InstructionSet, $($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                $avx2($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            fn avx512($($arg: $type),*) $(-> $out)? {
                $avx512($($arg),*)
            }
            match isa.0 {
                $crate::instruction_set::Set::Portable => $portable($($arg),*),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: this value is made only where the machine has AVX2 and FMA.
                $crate::instruction_set::Set::Avx2 => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: this value is made only where the machine has AVX2, FMA,
                // AVX-512F and AVX-512VL.
                $crate::instruction_set::Set::Avx512 => unsafe { avx512($($arg),*) },
            }
        }
    };
}
pub(crate) use by_instruction_set;

/// `a b + c`, rounded once where `FMA` says that the machine can.
#[inline(always)]
pub(crate) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}
