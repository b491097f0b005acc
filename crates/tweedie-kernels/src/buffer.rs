//! Memory that is kept for the next call: fresh pages cost more than the sums in them.
//!
//! A network's step asks for the same sizes again and again, so what one step returns is what
//! the next one takes, and in the steady state nothing is allocated.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// A cache line, so that no vector of values straddles two.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; WIDTH]);

const WIDTH: usize = 16;

/// Lines kept however little is in use: 64 MiB.
const KEPT: usize = 1 << 20;

static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// Values that return to a pool when dropped, aligned to cache lines.
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// `len` values of no particular content: zeros or those of an earlier owner.
    pub fn take(len: usize) -> Self {
        let lines = len.div_ceil(WIDTH);
        let found = pool(|pool| pool.take(lines));
        Self {
            lines: found.unwrap_or_else(|| vec![Line([0.0; WIDTH]); lines]),
            len,
        }
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::take(len);
        buffer.fill(0.0);
        buffer
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Self {
        let mut buffer = Self::take(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // What the pool has no room for is freed outside its lock.
        let surplus = pool(|pool| pool.give(lines));
        drop(surplus);
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::from(&self[..])
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

/// Buffers by their number of lines, and how many lines are where.
struct Pool {
    kept: BTreeMap<usize, Vec<Vec<Line>>>,
    idle: usize,
    used: usize,
    most: usize,
}

impl Pool {
    const fn new() -> Self {
        Self {
            kept: BTreeMap::new(),
            idle: 0,
            used: 0,
            most: 0,
        }
    }

    /// The smallest kept buffer of at least `lines`, if it is not much larger.
    fn take(&mut self, lines: usize) -> Option<Vec<Line>> {
        let limit = lines + lines / 8 + 16;
        let size = self.kept.range(lines..=limit).next().map(|(&size, _)| size);
        let found = size.and_then(|size| {
            let same = self.kept.get_mut(&size)?;
            let found = same.pop();
            if same.is_empty() {
                self.kept.remove(&size);
            }
            found
        });
        let taken = found.as_ref().map_or(lines, Vec::len);
        self.idle -= found.as_ref().map_or(0, Vec::len);
        self.used += taken;
        self.most = self.most.max(self.used);
        found
    }

    /// Takes a buffer back; what is idle stays below the most that was ever in use, so that a
    /// change of sizes does not leave the old ones behind for good.
    fn give(&mut self, lines: Vec<Line>) -> Vec<Vec<Line>> {
        self.used = self.used.saturating_sub(lines.len());
        if lines.is_empty() {
            return Vec::new();
        }
        self.idle += lines.len();
        let size = lines.len();
        self.kept.entry(size).or_default().push(lines);
        let mut surplus = Vec::new();
        let limit = self.most.max(KEPT);
        while self.idle > limit {
            // Not of the size just given back, if there is another: that one is in use.
            let other = self.kept.keys().copied().rev().find(|&other| other != size);
            let Some(victims) = self.kept.get_mut(&other.unwrap_or(size)) else {
                break;
            };
            let Some(victim) = victims.pop() else { break };
            if victims.is_empty() {
                self.kept.remove(&other.unwrap_or(size));
            }
            self.idle -= victim.len();
            surplus.push(victim);
        }
        surplus
    }
}

fn pool<T>(f: impl FnOnce(&mut Pool) -> T) -> T {
    f(&mut POOL.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(n: usize) -> Vec<Line> {
        vec![Line([0.0; WIDTH]); n]
    }

    #[test]
    fn buffers_are_aligned_and_of_the_length_asked_for() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let mut buffer = Buffer::take(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr().align_offset(64), 0);
            buffer.fill(f32::NAN);
            drop(buffer);
            assert!(Buffer::zeros(len).iter().all(|&v| v == 0.0));
        }
    }

    #[test]
    fn what_returns_is_taken_again() {
        let mut pool = Pool::new();
        assert!(pool.take(1000).is_none());
        assert!(pool.give(lines(1000)).is_empty());
        // A little larger than asked for is fine, much larger is not.
        assert!(pool.take(100).is_none());
        assert_eq!(pool.take(950).map(|l| l.len()), Some(1000));
        assert_eq!((pool.idle, pool.used), (0, 1100));
    }

    #[test]
    fn sizes_that_are_no_longer_used_are_freed() {
        let mut pool = Pool::new();
        let n = KEPT / 4;
        for _ in 0..4 {
            pool.take(n);
        }
        for _ in 0..4 {
            assert!(pool.give(lines(n)).is_empty());
        }
        // Others come and go: the old ones leave.
        pool.take(2 * n);
        let freed: usize = pool.give(lines(2 * n)).iter().map(Vec::len).sum();
        assert_eq!(freed, 2 * n);
        assert_eq!(pool.idle, KEPT);
        assert_eq!(pool.take(2 * n).map(|l| l.len()), Some(2 * n));
    }
}
