//! A file that appears under its name complete, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes gathered before they go to the file.
const BUFFER: usize = 1 << 20;

/// Writes to a temporary file beside the target. [`AtomicFile::commit`] makes it durable and gives it its name; a drop before
/// that removes it. Whatever stood under the name stays there until then.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    temporary: PathBuf,
    out: BufWriter<File>,
    committed: bool,
}

impl AtomicFile {
    /// Opens the temporary file, `.NAME.PROCESS-NUMBER.partial`, in the folder of `target`.
    pub fn create(target: impl AsRef<Path>) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let target = target.as_ref().to_path_buf();
        let Some(name) = target.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
        };
        if target.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "the path is a folder"));
        }
        // A device or a pipe would be replaced by a file of its name, to everybody's harm.
        if fs::metadata(&target).is_ok_and(|kind| !kind.is_file()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path is a device or a pipe and no file",
            ));
        }
        // A name left by a dead process of the same number is stepped over, not taken.
        let mut tries = 0;
        let (temporary, file) = loop {
            let mut own = std::ffi::OsString::from(".");
            own.push(name);
            own.push(format!(
                ".{}-{}.partial",
                std::process::id(),
                NUMBER.fetch_add(1, Ordering::Relaxed)
            ));
            let temporary = target.with_file_name(own);
            match OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
                Ok(file) => break (temporary, file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
                Err(error) => return Err(error),
            }
        };
        Ok(Self {
            target,
            temporary,
            out: BufWriter::with_capacity(BUFFER, file),
            committed: false,
        })
    }

    /// Asks the file system for `bytes` at once, so that a disk too full is known before hours of work.
    /// A file system that cannot promise space is no error.
    pub fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        reserve(self.out.get_ref(), bytes)
    }

    /// The temporary file, with all that was written so far in it.
    pub fn file(&mut self) -> io::Result<&File> {
        self.out.flush()?;
        Ok(self.out.get_ref())
    }

    /// Makes the bytes durable, gives the file its name, makes the name durable.
    pub fn commit(mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.committed = true;
        let folder = match self.target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nobody is left to tell; the file is ours and unfinished.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    unsafe extern "C" {
        fn fallocate64(fd: i32, mode: i32, offset: i64, length: i64) -> i32;
    }
    /// Extends no file length: what is written decides that.
    const FALLOC_FL_KEEP_SIZE: i32 = 1;
    let length = i64::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    if length == 0 {
        return Ok(());
    }
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed; the call touches no memory of ours.
        if unsafe { fallocate64(file.as_raw_fd(), FALLOC_FL_KEEP_SIZE, 0, length) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => return Err(error),
            // Not supported here, or not by this kernel: then the writes will tell.
            _ => return Ok(()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_file: &File, _bytes: u64) -> io::Result<()> {
    Ok(())
}
