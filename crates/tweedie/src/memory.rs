//! The process's memory: the allocator's settings, and the peak.

/// Tells glibc to keep freed memory instead of returning it to the system after every tensor.
///
/// Page faults are expensive on virtual machines: a training step that maps and unmaps its
/// activations spends a large share of its time in the kernel. Call this once, at program
/// start. It does nothing where the C library is not glibc.
///
/// `TWEEDIE_ALLOCATOR=default` in the environment switches it off, to measure its effect.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        if std::env::var_os("TWEEDIE_ALLOCATOR").is_some_and(|v| v == "default") {
            return;
        }
        const NEVER: libc::c_int = libc::c_int::MAX;
        const TOP_PAD: libc::c_int = 256 << 20;
        // SAFETY: mallopt only sets parameters of the allocator, takes its own lock, and is
        // called with parameters that the running C library defines. A refused value (return
        // value 0) leaves the default in force.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, NEVER);
            libc::mallopt(libc::M_TRIM_THRESHOLD, NEVER);
            libc::mallopt(libc::M_TOP_PAD, TOP_PAD);
        }
    }
}

/// The peak memory of this process in bytes; `None` where the system does not report it.
pub fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    /// Page faults of this thread so far.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn page_faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // Counted behind the name in brackets, which may hold anything.
        let fields = stat.rsplit_once(')').unwrap().1;
        fields.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    /// Freed memory is reused: the second of two large arrays causes hardly any page faults, where
    /// the default setting causes all 4096 of them again.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn freed_memory_is_kept() {
        super::keep_freed_memory();
        const SIZE: usize = 16 << 20;
        let touch = || std::hint::black_box(vec![1_u8; SIZE]);
        drop(touch());
        let before = page_faults();
        drop(touch());
        let pages = page_faults() - before;
        assert!(pages < 1000, "{pages} pages");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_is_what_was_held_and_stays() {
        const SIZE: u64 = 64 << 20;
        let held = std::hint::black_box(vec![1_u8; SIZE as usize]);
        let with = super::peak().unwrap();
        drop(held);
        // The system counts in batches of pages, so the number itself may move a little.
        let after = super::peak().unwrap();
        assert!(with >= SIZE && after >= SIZE, "{with} {after}");
    }
}
