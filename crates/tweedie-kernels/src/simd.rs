//! Vectors of `f32` in the registers of each instruction set, for kernels that the compiler does
//! not vectorise well enough by itself.
//!
//! A kernel is an `#[inline(always)]` function generic over [`Simd`]; [`by_simd`] compiles it
//! once for each set and hands it the token of that set.

/// Lanes of the widest vector.
const MOST_LANES: usize = 16;

/// The operations of one instruction set. A value of a type that implements it is the proof
/// that the machine has the set.
pub(crate) trait Simd: Copy {
    /// Values in a vector.
    const LANES: usize;
    /// A vector.
    type V: Copy;
    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::V;
    /// The first values of `from`; panics where there are fewer than lanes.
    fn load(self, from: &[f32]) -> Self::V;
    /// The values of `from`, as many as there are lanes; zeros where there are fewer.
    #[inline(always)]
    fn load_some(self, from: &[f32]) -> Self::V {
        if from.len() >= Self::LANES {
            return self.load(from);
        }
        let mut all = [0.0; MOST_LANES];
        all[..from.len()].copy_from_slice(from);
        self.load(&all)
    }
    /// Writes the values of `to`, at most as many as there are lanes.
    #[inline(always)]
    fn store_some(self, v: Self::V, to: &mut [f32]) {
        if to.len() >= Self::LANES {
            return self.store(v, to);
        }
        let mut all = [0.0; MOST_LANES];
        self.store(v, &mut all);
        to.copy_from_slice(&all[..to.len()]);
    }
    /// Writes the first values of `to`; panics where there are fewer than lanes.
    fn store(self, v: Self::V, to: &mut [f32]);
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a` where that is greater than `b`, else `b`: `b` too where either is NaN.
    fn greater(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a b + c`, rounded once where the set can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
}

/// What the compiler may assume anyway.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    const LANES: usize = 8;
    type V = [f32; 8];
    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 8] {
        [x; 8]
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> [f32; 8] {
        let mut v = [0.0; 8];
        v.copy_from_slice(&from[..8]);
        v
    }
    #[inline(always)]
    fn store(self, v: [f32; 8], to: &mut [f32]) {
        to[..8].copy_from_slice(&v);
    }
    #[inline(always)]
    fn add(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn greater(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn mul_add(self, a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Simd;

    /// Implements [`Simd`] by the intrinsics of one set.
    macro_rules! set {
        ($(#[$doc:meta])* $name:ident, $v:ty, $lanes:expr, $splat:ident, $load:ident,
         $store:ident, $add:ident, $sub:ident, $mul:ident, $max:ident, $mul_add:ident) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub(crate) struct $name(());

            impl $name {
                /// # Safety
                /// The machine must have the instruction set.
                #[inline(always)]
                pub(crate) unsafe fn new() -> Self {
                    Self(())
                }
            }

            // A token exists only where the machine has the set: see `new`.
            impl Simd for $name {
                const LANES: usize = $lanes;
                type V = $v;
                #[inline(always)]
                fn splat(self, x: f32) -> $v {
                    // SAFETY: the token proves that the machine has the instruction.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                fn load(self, from: &[f32]) -> $v {
                    let from = &from[..$lanes];
                    // SAFETY: the token proves that the machine has the instruction, and `from`
                    // has as many values as it reads.
                    unsafe { $load(from.as_ptr()) }
                }
                #[inline(always)]
                fn store(self, v: $v, to: &mut [f32]) {
                    let to = &mut to[..$lanes];
                    // SAFETY: the token proves that the machine has the instruction, and `to`
                    // has as many values as it writes.
                    unsafe { $store(to.as_mut_ptr(), v) }
                }
                #[inline(always)]
                fn add(self, a: $v, b: $v) -> $v {
                    // SAFETY: the token proves that the machine has the instruction.
                    unsafe { $add(a, b) }
                }
                #[inline(always)]
                fn sub(self, a: $v, b: $v) -> $v {
                    // SAFETY: the token proves that the machine has the instruction.
                    unsafe { $sub(a, b) }
                }
                #[inline(always)]
                fn mul(self, a: $v, b: $v) -> $v {
                    // SAFETY: the token proves that the machine has the instruction.
                    unsafe { $mul(a, b) }
                }
                #[inline(always)]
                fn greater(self, a: $v, b: $v) -> $v {
                    // SAFETY: the token proves that the machine has the instruction.
                    unsafe { $max(a, b) }
                }
                #[inline(always)]
                fn mul_add(self, a: $v, b: $v, c: $v) -> $v {
                    // SAFETY: the token proves that the machine has the instruction.
                    unsafe { $mul_add(a, b, c) }
                }
            }
        };
    }

    set! {
        /// AVX2 and FMA.
        Avx2, __m256, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps,
        _mm256_sub_ps, _mm256_mul_ps, _mm256_max_ps, _mm256_fmadd_ps
    }
    set! {
        /// AVX-512.
        Avx512, __m512, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps,
        _mm512_sub_ps, _mm512_mul_ps, _mm512_max_ps, _mm512_fmadd_ps
    }
}

/// Defines a function `name(isa, arguments...)` whose body, an `#[inline(always)]` function of
/// `(impl Simd, arguments...)`, is compiled once for each instruction set.
macro_rules! by_simd {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) =
        $portable:expr, $avx2:expr, $avx512:expr) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        fn $name(isa: $crate::InstructionSet, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) {
                // SAFETY: this function is called where the machine has AVX2 and FMA.
                let token = unsafe { $crate::simd::Avx2::new() };
                $avx2(token, $($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            fn avx512($($arg: $type),*) {
                // SAFETY: this function is called where the machine has AVX-512F.
                let token = unsafe { $crate::simd::Avx512::new() };
                $avx512(token, $($arg),*)
            }
            match isa.0 {
                $crate::instruction_set::Set::Portable => $portable($crate::simd::Portable, $($arg),*),
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
pub(crate) use by_simd;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;

    by_simd! {
        /// Writes one result of every operation.
        fn every(a: &[f32], b: &[f32], out: &mut Vec<f32>)
            = every_body, every_body, every_body
    }

    #[inline(always)]
    fn every_body<S: Simd>(s: S, a: &[f32], b: &[f32], out: &mut Vec<f32>) {
        let (x, y) = (s.load(a), s.load(b));
        let results = [
            s.add(x, y),
            s.sub(x, y),
            s.mul(x, y),
            s.greater(x, y),
            s.mul_add(x, y, s.splat(0.5)),
        ];
        for v in results {
            let mut lanes = vec![f32::NAN; S::LANES + 1];
            s.store(v, &mut lanes);
            assert!(lanes.pop().is_some_and(f32::is_nan));
            out.extend(lanes);
        }
    }

    #[test]
    fn every_operation_at_every_level() {
        let a: Vec<f32> = (0..16).map(|i| i as f32 - 7.5).collect();
        let b: Vec<f32> = (0..16).map(|i| 3.0 - 0.25 * i as f32).collect();
        for &isa in InstructionSet::available() {
            let mut found = Vec::new();
            every(isa, &a, &b, &mut found);
            let lanes = found.len() / 5;
            for i in 0..lanes {
                let (a, b) = (a[i], b[i]);
                // Exact in f32, so that a fused product cannot differ.
                let expected = [a + b, a - b, a * b, a.max(b), a * b + 0.5];
                for (k, expected) in expected.into_iter().enumerate() {
                    assert_eq!(found[k * lanes + i], expected, "{isa:?} {k} {i}");
                }
            }
        }
    }

    #[test]
    #[should_panic]
    fn short_slices_are_refused() {
        let mut out = Vec::new();
        every(InstructionSet::best(), &[0.0; 7], &[0.0; 16], &mut out);
    }
}
