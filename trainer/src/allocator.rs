//! The C allocator's settings for training on a CPU.

/// Tells glibc to keep freed memory. libtorch allocates every activation anew; by default glibc maps blocks of
/// that size afresh and gives them back at once, and the page faults cost a tenth of the time of a step.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "mallopt is a C function; these settings are documented to be safe at any time"
    )]
    // SAFETY: `mallopt` takes two integers and changes settings of the allocator under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}
