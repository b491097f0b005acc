//! The process's memory: the allocator setting that pays, and the peak.

/// Tells glibc to keep freed memory instead of returning it to the system after every tensor.
///
/// Page faults are expensive on virtual machines: a training step that maps and unmaps its
/// activations spends a large share of its time in the kernel. Call this once, at program
/// start. It does nothing where the C library is not glibc.
///
/// `TWEEDIE_ALLOCATOR=default` in the environment switches it off, to measure what it gains.
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

/// The most memory this process has held, in bytes; none where the system does not tell.
pub fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_still_works_after_the_setting() {
        super::keep_freed_memory();
        let big: Vec<u64> = (0..4_000_000).collect();
        assert_eq!(big.iter().sum::<u64>(), 3_999_999 * 4_000_000 / 2);
    }
}
