//! A file that appears under its name complete, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::unnamed;

/// Bytes gathered before they go to the file.
const BUFFER: usize = 1 << 20;

/// Writes to a file without a name in the target's folder, so that a killed process leaves nothing; where the system has no such
/// files, to a temporary one beside the target. [`AtomicFile::commit`] makes it durable and gives it its name; a drop before that
/// removes it. Whatever stood under the name stays there until then.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    /// The name beside the target, once it has one.
    temporary: Option<PathBuf>,
    out: BufWriter<File>,
}

impl AtomicFile {
    /// Opens the file in the folder of `target`.
    pub fn create(target: impl AsRef<Path>) -> io::Result<Self> {
        let target = target.as_ref().to_path_buf();
        if target.file_name().is_none() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path names no file; give one a name",
            ));
        }
        if target.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "the path is a folder; name a file in it",
            ));
        }
        // A device or a pipe would be replaced by a file of its name, to everybody's harm.
        if fs::metadata(&target).is_ok_and(|kind| !kind.is_file()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path is a device or a pipe and no file",
            ));
        }
        let (temporary, file) = match unnamed::create(folder_of(&target)) {
            Ok(file) => (None, file),
            // Not possible here; or the folder is not there, which this says as well.
            Err(_) => {
                let open = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).open(path);
                let (path, file) = beside(&target, open)?;
                (Some(path), file)
            }
        };
        Ok(Self {
            target,
            temporary,
            out: BufWriter::with_capacity(BUFFER, file),
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
        let temporary = match self.temporary.take() {
            Some(temporary) => temporary,
            None => beside(&self.target, |path| unnamed::name(self.out.get_ref(), path))?.0,
        };
        // From here on a drop must remove it under that name.
        let temporary = self.temporary.insert(temporary);
        fs::rename(temporary, &self.target)?;
        self.temporary = None;
        File::open(folder_of(&self.target))?.sync_all()
    }
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Does `make` with a free name beside `target`, `.NAME.PROCESS-NUMBER.partial`. One left by a dead process of the same number is
/// stepped over, not taken.
fn beside<T>(target: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut tries = 0;
    loop {
        let mut own = std::ffi::OsString::from(".");
        own.push(target.file_name().unwrap_or_default());
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        own.push(format!(".{}-{number}.partial", std::process::id()));
        let path = target.with_file_name(own);
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
            Err(error) => return Err(error),
        }
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
        if let Some(temporary) = &self.temporary {
            // Nobody is left to tell; the file is ours and unfinished.
            let _ = fs::remove_file(temporary);
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
