//! Files without a name: gone when their last descriptor closes, however the process ends.

use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux {
    use super::*;
    use std::ffi::{CString, c_char, c_int};
    use std::fs::OpenOptions;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::OpenOptionsExt;

    /// The number differs by architecture.
    #[cfg(target_arch = "x86_64")]
    const O_TMPFILE: c_int = 0o20200000;
    #[cfg(target_arch = "aarch64")]
    const O_TMPFILE: c_int = 0o20040000;
    const AT_FDCWD: c_int = -100;
    const AT_SYMLINK_FOLLOW: c_int = 0x400;
    /// Through here such a file is named.
    const DESCRIPTORS: &str = "/proc/self/fd";

    unsafe extern "C" {
        fn linkat(old_folder: c_int, old: *const c_char, new_folder: c_int, new: *const c_char, flags: c_int) -> c_int;
    }

    pub(crate) fn create(folder: &Path) -> io::Result<File> {
        if !Path::new(DESCRIPTORS).is_dir() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        OpenOptions::new().read(true).write(true).custom_flags(O_TMPFILE).open(folder)
    }

    pub(crate) fn name(file: &File, path: &Path) -> io::Result<()> {
        let old = CString::new(format!("{DESCRIPTORS}/{}", file.as_raw_fd()))?;
        let new = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: both strings end in a zero byte and live over the call; the descriptor is open as long as `file` is borrowed.
        match unsafe { linkat(AT_FDCWD, old.as_ptr(), AT_FDCWD, new.as_ptr(), AT_SYMLINK_FOLLOW) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use linux::{create, name};

/// A file in `folder` that has no name. An error where the system or the file system has no such thing.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) fn create(_folder: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives such a file a name, which must be free.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) fn name(_file: &File, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
