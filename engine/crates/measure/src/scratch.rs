//! The file that reads are timed on. It has no name (or loses it at once), so that nothing of it is left when this process ends,
//! however it ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flash::{BufferPool, PAGE, PageSums};

use crate::error::MeasureError;
use crate::sys;

/// Bytes written at once.
const PIECE: usize = 2 << 20;

/// Bytes that others may need meanwhile.
const LEFT_FREE: u64 = 64 << 20;

/// A file of bytes that look random.
pub(crate) struct Scratch {
    file: File,
    /// A way to open it again, with other flags.
    pub path: PathBuf,
    pub bytes: u64,
    /// Of every page, as a packed file has them: the engine compares what it reads.
    pub page_sums: PageSums,
    /// What had to be done otherwise than meant; for notes.
    pub fallbacks: Vec<String>,
}

impl Scratch {
    /// Makes and fills it; `tell` hears of each piece (bytes done) and may end it.
    pub fn new(folder: &Path, bytes: u64, mut tell: impl FnMut(u64) -> Result<(), MeasureError>) -> Result<Self, MeasureError> {
        let failed = |what: String| {
            move |source: io::Error| MeasureError::Scratch {
                folder: folder.to_path_buf(),
                what,
                source,
            }
        };
        let filling = || format!("write {} MB into", bytes / 1_000_000);
        if let Some(limit) = sys::file_size_limit().filter(|limit| *limit < bytes) {
            return Err(MeasureError::Input {
                option: "scratch",
                what: format!("{bytes} bytes; the system lets this process write files of {limit} at most"),
            });
        }
        let mut fallbacks = Vec::new();
        let file = create(folder, &mut fallbacks).map_err(failed("create".to_owned()))?;
        if sys::free_bytes(&file).is_some_and(|free| free < bytes.saturating_add(LEFT_FREE)) {
            return Err(failed(filling())(ErrorKind::StorageFull.into()));
        }
        sys::reserve(&file, bytes).map_err(failed(filling()))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        // Written past the page cache where that works: what is read later is then the device's.
        let direct = OpenOptions::new().write(true).custom_flags(sys::O_DIRECT).open(&path).ok();
        let mut piece = BufferPool::new(0).take(PIECE);
        fill(&mut piece, 1);
        let mut out = direct.as_ref().unwrap_or(&file);
        let mut page_sums = PageSums::default();
        let mut at = 0;
        while at < bytes {
            // Every piece another, so that no device finds two alike; only its pages' first words change.
            for page in piece.chunks_exact_mut(PAGE as usize) {
                let mixed = u64::from_ne_bytes([page[0], page[1], page[2], page[3], page[4], page[5], page[6], page[7]]);
                page[..8].copy_from_slice(&mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(at | 1).to_ne_bytes());
            }
            let length = piece.len().min((bytes - at) as usize);
            match out.write_all_at(&piece[..length], at) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::InvalidInput && !std::ptr::eq(out, &file) => {
                    out = &file;
                    continue;
                }
                Err(error) => return Err(failed(filling())(error)),
            }
            page_sums.update(&piece[..length]);
            at += length as u64;
            tell(at)?;
        }
        file.sync_data().map_err(failed(filling()))?;
        sys::drop_cached(&file);
        Ok(Self {
            file,
            path,
            bytes,
            page_sums,
            fallbacks,
        })
    }

    /// Drops what the page cache holds of it.
    pub fn drop_cached(&self) {
        sys::drop_cached(&self.file);
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What the system says of the device below: its name, hardware queues, requests in each, and read-ahead in bytes.
    pub fn device(&self) -> Device {
        let number = self.file.metadata().map_or(0, |about| about.dev());
        // As glibc's gnu_dev_major and gnu_dev_minor.
        let major = (number >> 32 & 0xffff_f000) | (number >> 8 & 0xfff);
        let minor = (number >> 12 & 0xffff_ff00) | (number & 0xff);
        let link = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
        let Ok(folder) = fs::canonicalize(&link) else {
            return Device::default();
        };
        // A partition's queue is its disk's.
        let disk = [Some(folder.as_path()), folder.parent()]
            .into_iter()
            .flatten()
            .find(|folder| folder.join("queue").exists())
            .map(Path::to_path_buf);
        let Some(disk) = disk else { return Device::default() };
        let number = |name: &str| fs::read_to_string(disk.join(name)).ok()?.trim().parse::<u64>().ok();
        let model = fs::read_to_string(disk.join("device/model")).ok();
        let name = disk.file_name().map(|name| name.to_string_lossy().into_owned());
        Device {
            name: model
                .map(|model| model.trim().to_owned())
                .filter(|model| !model.is_empty())
                .or(name),
            queues: fs::read_dir(disk.join("mq"))
                .ok()
                .map(|all| all.count() as u64)
                .filter(|count| *count > 0),
            requests: number("queue/nr_requests").filter(|count| *count > 0),
            read_ahead: number("queue/read_ahead_kb").map(|kib| kib << 10).filter(|bytes| *bytes > 0),
        }
    }
}

/// A block device as the system describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Model, or name.
    pub name: Option<String>,
    /// Hardware queues.
    pub queues: Option<u64>,
    /// Requests that a queue takes.
    pub requests: Option<u64>,
    /// Bytes that a fault in a mapped file brings in.
    pub read_ahead: Option<u64>,
}

fn create(folder: &Path, fallbacks: &mut Vec<String>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let nameless = options.clone().custom_flags(sys::O_TMPFILE).open(folder);
    let refused = match nameless {
        Ok(file) => return Ok(file),
        // ENOTDIR, EISDIR, EOPNOTSUPP and the like: the filesystem does not know files without names, or this is no folder.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Err(error),
        Err(error) => error,
    };
    let path = folder.join(format!(".neuronlab-probe-{}", std::process::id()));
    let file = options.create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    fallbacks.push(format!("the scratch file had a name for a moment: {refused}"));
    Ok(file)
}

/// Bytes that look random.
fn fill(bytes: &mut [u8], seed: u64) {
    let mut numbers = Numbers::new(seed);
    for word in bytes.chunks_exact_mut(8) {
        word.copy_from_slice(&numbers.next().to_ne_bytes());
    }
}

/// Numbers that look random (xorshift).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// 0..`count` in any order.
    pub fn order(&mut self, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..count).collect();
        for place in (1..count).rev() {
            all.swap(place, self.below(place as u64 + 1) as usize);
        }
        all
    }
}
