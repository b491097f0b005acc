//! A pool of buffers that are reused from call to call, because touching fresh pages costs more
//! than the arithmetic on them.
//!
//! The steps of a network ask for the same sizes again and again, so the next step takes what the
//! last one returned, and in the steady state nothing is allocated.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use bytemuck::Pod;

/// A cache line, so that no vector of values straddles two.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; WIDTH]);

const WIDTH: usize = 16;

/// Lines that are kept whether anybody asks for them or not: 64 MiB.
const KEPT: usize = 1 << 20;

/// A buffer that has not been taken for so many turns of others is surplus: a few steps of a
/// large network.
const LONG: u64 = 1 << 14;

static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// Values that return to a pool when dropped, aligned to cache lines: `f32`, or numbers of
/// another size in the same memory.
pub struct Buffer<T = f32> {
    lines: Vec<Line>,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// `len` values of no particular content: zeros or those of an earlier owner.
    pub fn take(len: usize) -> Self {
        let lines = len.div_ceil(size_of::<Line>() / size_of::<T>());
        let found = pool(|pool| pool.take(lines));
        Self {
            lines: found.unwrap_or_else(|| vec![Line([0.0; WIDTH]); lines]),
            len,
            of: PhantomData,
        }
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::take(len);
        buffer.fill(T::zeroed());
        buffer
    }
}

impl<T: Pod> From<&[T]> for Buffer<T> {
    fn from(values: &[T]) -> Self {
        let mut buffer = Self::take(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // What the pool has no room for is freed outside its lock.
        let surplus = pool(|pool| pool.give(lines));
        drop(surplus);
    }
}

impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl<T: Pod> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self::from(&self[..])
    }
}

impl<T: Pod + PartialEq> PartialEq for Buffer<T> {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

/// Idle buffers by their number of lines, and when each came back.
struct Pool {
    kept: BTreeMap<usize, VecDeque<(u64, Vec<Line>)>>,
    /// Lines in `kept`.
    idle: usize,
    /// Buffers taken so far: the pool's clock.
    now: u64,
}

impl Pool {
    const fn new() -> Self {
        Self {
            kept: BTreeMap::new(),
            idle: 0,
            now: 0,
        }
    }

    /// The smallest kept buffer of at least `lines`, if it is at most half as large again: less
    /// would fit less often, and more memory would be held.
    fn take(&mut self, lines: usize) -> Option<Vec<Line>> {
        self.now += 1;
        let limit = lines + lines / 2 + 16;
        let size = *self.kept.range(lines..=limit).next()?.0;
        // The last to come back: its values may still be in a cache.
        self.remove(size, VecDeque::pop_back)
    }

    /// Takes a buffer back, and answers with one that nobody has asked for in a long time, if
    /// more is idle than is always kept: after a change of sizes the old ones leave.
    fn give(&mut self, lines: Vec<Line>) -> Option<Vec<Line>> {
        let size = lines.len();
        if size == 0 {
            return None;
        }
        self.idle += size;
        let same = self.kept.entry(size).or_default();
        same.push_back((self.now, lines));
        if self.idle <= KEPT {
            return None;
        }
        let (since, size) = self
            .kept
            .iter()
            .filter_map(|(&size, same)| Some((same.front()?.0, size)))
            .min()?;
        (self.now - since > LONG)
            .then(|| self.remove(size, VecDeque::pop_front))
            .flatten()
    }

    fn remove(
        &mut self,
        size: usize,
        which: impl FnOnce(&mut VecDeque<(u64, Vec<Line>)>) -> Option<(u64, Vec<Line>)>,
    ) -> Option<Vec<Line>> {
        let same = self.kept.get_mut(&size)?;
        let (_, found) = which(same)?;
        if same.is_empty() {
            self.kept.remove(&size);
        }
        self.idle -= size;
        Some(found)
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
            let mut buffer = Buffer::<f32>::take(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr().align_offset(64), 0);
            buffer.fill(f32::NAN);
            drop(buffer);
            assert!(Buffer::<f32>::zeros(len).iter().all(|&v| v == 0.0));
            assert_eq!(Buffer::<u16>::zeros(len)[..], vec![0; len]);
        }
    }

    #[test]
    fn what_returns_is_taken_again() {
        let mut pool = Pool::new();
        assert!(pool.take(1000).is_none());
        assert!(pool.give(lines(1000)).is_none());
        // A little larger than asked for is fine, much larger is not.
        assert!(pool.take(100).is_none());
        assert_eq!(pool.take(950).map(|l| l.len()), Some(1000));
        assert_eq!(pool.idle, 0);
    }

    #[test]
    fn sizes_that_are_no_longer_used_leave() {
        let mut pool = Pool::new();
        let n = KEPT / 4;
        for _ in 0..6 {
            assert!(pool.give(lines(n)).is_none());
        }
        // Others come and go, again and again.
        let mut freed = 0;
        for _ in 0..LONG + 3 {
            let taken = pool.take(100).unwrap_or_else(|| lines(100));
            freed += pool.give(taken).map_or(0, |l| l.len());
        }
        // What is always kept is kept.
        assert!(freed >= 2 * n, "{freed}");
        assert!(pool.idle <= KEPT + 100);
    }
}
