//! The tie to the search that started this program.

/// Has the system end this program with the search that started it, which [`mfactor::protocol::OWNER_VARIABLE`]
/// names: a search that is killed can end nothing, and its trainer would go on to use the GPU and to write
/// files beside the one that the resumed search starts. Where the variable is not set nothing is tied.
pub fn end_with_owner() {
    #[cfg(target_os = "linux")]
    if let Ok(owner) = std::env::var(mfactor::protocol::OWNER_VARIABLE)
        && owner == std::os::unix::process::parent_id().to_string()
    {
        #[expect(unsafe_code, reason = "prctl is a C function")]
        // SAFETY: with this option `prctl` takes a signal number and sets an attribute of this process.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        }
    }
}
