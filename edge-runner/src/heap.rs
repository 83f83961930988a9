//! How the C library's heap keeps what was freed.
//!
//! By default glibc takes every block of 128 KiB or more, a tensor or a list of weights, from the kernel and gives it back
//! when it is freed, page by page and zeroed each time. Loading a model frees and takes many such blocks: keeping them
//! saves a third of the page faults from start to first answer, and takes no more memory at the peak.

/// Most free memory that is kept, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: libc::c_int = 256 << 20;

/// Keeps freed blocks for the next one. To be called before anything large is allocated.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "mallopt is a function of the C library")]
pub fn keep_freed_blocks() {
    // SAFETY: mallopt only sets numbers; a value it does not take is refused and changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Other C libraries have other heaps.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed_blocks() {}
