//! The packed file while it is written: it has no name until it is whole, so a killed or failed packing leaves nothing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::page_sum::PageSums;
use crate::{FlashError, sys};

/// Bytes gathered before they go to the file.
const GATHER: usize = 4 << 20;

/// Written front to back; tables are put in their places at the end.
pub(super) struct Output {
    file: File,
    path: PathBuf,
    /// Name beside the target, from the start where files without a name are not possible, else only for the last step.
    temporary: PathBuf,
    is_named: bool,
    total: u64,
    gathered: Vec<u8>,
    at: u64,
    page_sums: PageSums,
}

impl Output {
    /// Takes room for `total` bytes at once, so that a full disk is found before the work.
    pub fn create(path: &Path, total: u64, start: u64) -> Result<Self, FlashError> {
        let Some(name) = path.file_name().filter(|_| !path.is_dir()) else {
            return Err(FlashError::input(format!(
                "{}: is a folder or names no file; give the packed file a name",
                path.display()
            )));
        };
        // A device or a pipe would be replaced by a file of its name, to everybody's harm.
        if fs::metadata(path).is_ok_and(|kind| !kind.is_file()) {
            return Err(FlashError::input(format!(
                "{}: is a device or a pipe; give the packed file a name of its own",
                path.display()
            )));
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let temporary = directory.join(format!(".{}.packing-{}", name.to_string_lossy(), std::process::id()));
        if let Some(limit) = sys::file_size_limit().filter(|limit| *limit < total) {
            let reason = format!("this process may write files of at most {limit} bytes (ulimit -f)");
            return Err(FlashError::NoSpace {
                path: path.to_path_buf(),
                bytes: total,
                reason,
            });
        }
        let unnamed = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(sys::O_TMPFILE)
            .open(directory);
        let (opened, is_named) = match unnamed {
            Ok(file) => (Ok(file), false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Err(error), false),
            Err(_) => (
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(&temporary),
                true,
            ),
        };
        let file = opened.map_err(|error| FlashError::io("create a file in", directory, 0, 0, &error))?;
        let gathered = Vec::with_capacity(GATHER);
        let this = Self {
            file,
            path: path.to_path_buf(),
            temporary,
            is_named,
            total,
            gathered,
            at: start,
            page_sums: PageSums::default(),
        };
        sys::reserve(&this.file, total).map_err(|error| this.failed(start, total, &error))?;
        Ok(this)
    }

    fn failed(&self, offset: u64, bytes: u64, error: &io::Error) -> FlashError {
        match error.raw_os_error() {
            Some(sys::ENOSPC | sys::EDQUOT | sys::EFBIG) => FlashError::NoSpace {
                path: self.path.clone(),
                bytes: self.total,
                reason: error.to_string(),
            },
            _ => FlashError::io("write", &self.path, offset, bytes, error),
        }
    }

    /// Where the next byte goes.
    pub fn position(&self) -> u64 {
        self.at + self.gathered.len() as u64
    }

    /// Writes behind what was appended before.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FlashError> {
        self.page_sums.update(bytes);
        if self.gathered.len() + bytes.len() > GATHER {
            self.flush()?;
        }
        if bytes.len() >= GATHER {
            self.put(self.at, bytes)?;
            self.at += bytes.len() as u64;
        } else {
            self.gathered.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// The checksum of every whole page that was appended.
    pub fn page_sums(&self) -> &[u32] {
        self.page_sums.sums()
    }

    /// Zeros up to a whole page.
    pub fn fill_page(&mut self) -> Result<(), FlashError> {
        let rest = crate::page_ceil(self.position()) - self.position();
        self.append(&[0; crate::PAGE as usize][..rest as usize])
    }

    fn flush(&mut self) -> Result<(), FlashError> {
        let gathered = std::mem::take(&mut self.gathered);
        let result = self.put(self.at, &gathered);
        self.at += gathered.len() as u64;
        self.gathered = gathered;
        self.gathered.clear();
        result
    }

    /// Writes at a place, whatever was appended.
    pub fn put(&self, offset: u64, bytes: &[u8]) -> Result<(), FlashError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| self.failed(offset, bytes.len() as u64, &error))
    }

    /// Makes the file durable and gives it its name, replacing what had it, in one step.
    pub fn commit(mut self) -> Result<(), FlashError> {
        self.flush()?;
        self.file
            .set_len(self.total)
            .map_err(|error| self.failed(0, self.total, &error))?;
        self.file.sync_all().map_err(|error| self.failed(0, self.total, &error))?;
        if !self.is_named {
            // A name left over from a process that was killed between the next two steps.
            drop(fs::remove_file(&self.temporary));
            sys::name_file(&self.file, &self.temporary).map_err(|error| FlashError::io("name", &self.temporary, 0, 0, &error))?;
            self.is_named = true;
        }
        fs::rename(&self.temporary, &self.path).map_err(|error| FlashError::io("rename to", &self.path, 0, 0, &error))?;
        self.is_named = false;
        let directory = self.temporary.parent().unwrap_or(Path::new("."));
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| FlashError::io("sync", directory, 0, 0, &error))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.is_named {
            // Nothing more can be done if this fails; the file never had the final name.
            drop(fs::remove_file(&self.temporary));
        }
    }
}
