//! AMX: `tdpbf16ps` multiplies a tile of 16 pixels by 32 channels with one of 32 channels by 16
//! outputs.
//!
//! Eight tile registers hold the sums of two runs by two halves of a block (0 to 3), a step of
//! the two runs (4, 5) and of the two halves (6, 7): four products for four loads.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;

use super::tiles::{Job, ROWS, Sums};
use super::unit::{Kind, Unit};
use super::weights::{BLOCK, DEPTH};

/// Whether the processor has AMX with bf16 and the system lets this process use it.
pub(super) fn permitted() -> bool {
    const TILE_DATA: libc::c_ulong = 18;
    const REQUEST_PERMISSION: libc::c_int = 0x1023;
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    // Leaf 7 is there where AVX-512 is, which the caller has seen.
    if __cpuid_count(7, 0).edx & BF16_AND_TILES != BF16_AND_TILES {
        return false;
    }
    // SAFETY: the call has no effect but to allow the process's threads the tile registers, or
    // to answer that it cannot.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0 }
}

/// The layout of `ldtilecfg`: all eight tiles have 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// The tile registers of this thread, shaped; released when dropped.
pub(super) struct Registers {
    /// A thread's registers go nowhere else.
    _here: PhantomData<*const ()>,
}

impl Registers {
    /// Shapes the registers.
    ///
    /// # Panics
    /// Where there are none.
    pub fn shaped() -> Self {
        let there = Unit::available().iter().any(|unit| unit.0 == Kind::Tiles);
        assert!(there, "this machine has no tile registers");
        // SAFETY: a unit of this kind is found only where `permitted`, and SHAPES is a valid
        // configuration of 64 bytes.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &SHAPES, options(nostack, readonly));
        }
        Self { _here: PhantomData }
    }

    /// The sums of a job.
    pub fn sums(&self, job: &Job, sums: &mut Sums) {
        job.check();
        if job.steps.is_empty() {
            return sums.fill([[0.0; BLOCK]; ROWS]);
        }
        let [a, b] = job.corners.map(|corner| job.x[corner..].as_ptr());
        let steps = job.steps.as_ptr_range();
        // SAFETY: the registers are shaped while `self` lives. `check` found that for every step
        // 16 rows of 32 values, `job.step` apart, lie inside the image from both corners on, and
        // that the weights are as many as the loop reads: two tiles of 1024 bytes a step. The
        // loop ends with the last of the steps, of which there is one. `sums` has room for what
        // is stored: 2 x 16 rows of 128 bytes.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "mov {at}, [{step}]",
                "lea {row}, [{a} + 2*{at}]",
                "tileloadd tmm4, [{row} + {apart}]",
                "tileloadd tmm6, [{weights} + {line}]",
                "tileloadd tmm7, [{weights} + {line} + 1024]",
                "lea {row}, [{b} + 2*{at}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{row} + {apart}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {weights}, 2048",
                "add {step}, 8",
                "cmp {step}, {end}",
                "jb 2b",
                "add {line}, {line}",
                "tilestored [{sums} + {line}], tmm0",
                "tilestored [{sums} + {line} + 64], tmm1",
                "tilestored [{sums} + {line} + 2048], tmm2",
                "tilestored [{sums} + {line} + 2112], tmm3",
                a = in(reg) a,
                b = in(reg) b,
                weights = inout(reg) job.weights.as_ptr() => _,
                step = inout(reg) steps.start => _,
                end = in(reg) steps.end,
                apart = in(reg) 2 * job.step,
                line = inout(reg) 64_usize => _,
                sums = in(reg) sums.as_mut_ptr(),
                at = out(reg) _,
                row = out(reg) _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: the registers were shaped in `shaped`; giving them back has no other effect.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

// The loop's constants.
const _: () = assert!(ROWS == 16 && BLOCK == 32 && DEPTH == 32 && size_of::<usize>() == 8);
