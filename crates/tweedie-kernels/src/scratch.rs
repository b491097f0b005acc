//! Scratch memory that is kept for the next call: fresh pages cost more than the sums in them.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers kept at most; more come from many threads at once only, and are freed.
const KEPT: usize = 64;

static POOL: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Values of a cache line: a vector that lies in two takes two reads.
const LINE: usize = 16;

/// A buffer that returns to the pool when dropped.
pub(crate) struct Scratch {
    buffer: Vec<f32>,
    start: usize,
    len: usize,
}

/// `len` values of no particular content, at the beginning of a cache line.
pub(crate) fn take(len: usize) -> Scratch {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let whole = len + LINE;
    // Large enough, but not so large that a big buffer is lost to a small need.
    let fits = |v: &Vec<f32>| v.len() >= whole && v.len() <= 4 * whole + 1024;
    let found = pool.iter().rposition(fits).map(|i| pool.swap_remove(i));
    drop(pool);
    // A kept buffer keeps its length: shortening and growing again would clear it each time.
    let buffer = found.unwrap_or_else(|| vec![0.0; whole]);
    // At the beginning of a line where that can be found; the values do not depend on it.
    let start = buffer.as_ptr().align_offset(4 * LINE).min(LINE);
    Scratch { buffer, start, len }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() == KEPT {
            pool.remove(0);
        }
        pool.push(std::mem::take(&mut self.buffer));
    }
}

impl Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.buffer[self.start..][..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[self.start..][..self.len]
    }
}
