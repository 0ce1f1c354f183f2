//! Where bytes come from: a file, opened for direct reads where the filesystem allows it, or a disk with planted faults.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::buffer::BufferPool;
use crate::{FlashError, PAGE, sys};

/// Positioned reads from several threads at once.
pub trait Disk: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 is the end of the file. May return less and may be interrupted, as
    /// the system call may.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Descriptor for backends that hand reads to the kernel themselves; `None` where there is none.
    fn descriptor(&self) -> Option<RawFd> {
        None
    }
}

/// A file on a real disk.
pub struct FileDisk {
    file: File,
    refused: Option<String>,
}

impl FileDisk {
    /// Opens with `O_DIRECT`; where that is refused (at opening, or by the first read), opens buffered and keeps the reason.
    pub fn open(path: &Path, direct: bool) -> Result<Self, FlashError> {
        Self::open_with(path, direct, &|path, flags| {
            OpenOptions::new().read(true).custom_flags(flags).open(path)
        })
    }

    /// As [`Self::open`], through an opener of the caller's: a test's way to a filesystem without direct reads.
    pub fn open_with(path: &Path, direct: bool, opener: &dyn Fn(&Path, i32) -> io::Result<File>) -> Result<Self, FlashError> {
        let buffered = |refused| {
            let file = opener(path, 0).map_err(|error| FlashError::io("open", path, 0, 0, &error))?;
            Ok(Self { file, refused })
        };
        if !direct {
            return buffered(None);
        }
        let tried = opener(path, sys::O_DIRECT).and_then(|file| {
            // Some filesystems accept the flag and refuse the read.
            let mut page = BufferPool::new(0).take(PAGE as usize);
            file.read_at(&mut page, 0).map(|_| file)
        });
        match tried {
            Ok(file) => Ok(Self { file, refused: None }),
            Err(error) if error.raw_os_error() == Some(sys::EINVAL) => buffered(Some(format!("O_DIRECT refused: {error}"))),
            Err(error) => Err(FlashError::io("open", path, 0, 0, &error)),
        }
    }

    /// Why reads are buffered although direct ones were asked for.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

impl Disk for FileDisk {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(self.file.as_raw_fd())
    }
}

/// A planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The read fails with this `errno`.
    Error(i32),
    /// The read brings only so many bytes; the next one at that place goes on.
    Short(usize),
    /// The file seems to end here.
    End,
    /// Bytes come with one bit flipped.
    Flip,
}

/// A disk that fails where it was told to, each fault a given number of times. For tests of error paths.
pub struct FaultyDisk<D> {
    inner: D,
    faults: Mutex<HashMap<u64, (Fault, u32)>>,
}

impl<D: Disk> FaultyDisk<D> {
    /// `faults`: the offset of a page; reads that cover it meet the fault so many times.
    pub fn new(inner: D, faults: impl IntoIterator<Item = (u64, Fault, u32)>) -> Self {
        let faults = faults
            .into_iter()
            .map(|(offset, fault, times)| (offset, (fault, times)))
            .collect();
        Self {
            inner,
            faults: Mutex::new(faults),
        }
    }

    fn next_fault(&self, offset: u64, bytes: u64) -> Option<(u64, Fault)> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = faults
            .iter_mut()
            .filter(|(at, (_, left))| **at >= offset && **at < offset + bytes && *left > 0);
        hit.min_by_key(|(at, _)| **at).map(|(at, (fault, left))| {
            *left -= 1;
            (*at, *fault)
        })
    }
}

impl<D: Disk> Disk for FaultyDisk<D> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.next_fault(offset, buffer.len() as u64) {
            None => self.inner.read_at(buffer, offset),
            Some((_, Fault::Error(code))) => Err(io::Error::from_raw_os_error(code)),
            Some((_, Fault::Short(bytes))) => {
                let bytes = bytes.min(buffer.len());
                // Read whole, tell less: a direct read of an odd length would be refused by the disk itself.
                self.inner.read_at(buffer, offset).map(|count| count.min(bytes))
            }
            Some((at, Fault::End)) => {
                let before = (at - offset) as usize;
                if before == 0 {
                    Ok(0)
                } else {
                    self.inner.read_at(&mut buffer[..before], offset)
                }
            }
            Some((at, Fault::Flip)) => {
                let count = self.inner.read_at(buffer, offset)?;
                if let Some(byte) = buffer[..count].get_mut((at - offset) as usize) {
                    *byte ^= 1;
                }
                Ok(count)
            }
        }
    }
}
