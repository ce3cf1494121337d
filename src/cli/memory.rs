//! How the program keeps memory from one interval to the next (docs/decisions/0009).

/// Blocks up to so many bytes are kept and used again; it is the most that glibc takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BLOCK_BYTES: libc::c_int = 32 << 20;

/// Free memory beyond this is given back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_FREE_BYTES: libc::c_int = 256 << 20;

/// Lets the columns of an interval lie where those of the one before lay. Without it glibc asks the system for each
/// large column and gives it back, and the system clears it each time: about a seventh of the time of a count by windows.
/// For the beginning of the program. Where the allocator is another, nothing is done.
pub fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "mallopt sets a number and has no other effect")]
    // SAFETY: both parameters exist, and no other thread runs yet. A value that is refused changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_FREE_BYTES);
    }
}
