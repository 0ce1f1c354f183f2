//! Page-aligned buffers, kept for reuse: a direct read needs alignment, and fresh memory costs a page fault every 4 KiB.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::PAGE;

/// Above this, sizes are rounded up to its multiple; below, to a power of two.
const LARGE: usize = 1 << 20;

fn class_of(bytes: usize) -> usize {
    if bytes > LARGE {
        bytes.div_ceil(LARGE) * LARGE
    } else {
        bytes.next_power_of_two().max(PAGE as usize)
    }
}

struct Block {
    address: NonNull<u8>,
    capacity: usize,
}

// SAFETY: a block is plain memory with one owner.
unsafe impl Send for Block {}
// SAFETY: shared access to a block is read-only.
unsafe impl Sync for Block {}

impl Block {
    fn layout(capacity: usize) -> Layout {
        Layout::from_size_align(capacity, PAGE as usize).expect("capacities stay far below isize::MAX")
    }

    fn new(capacity: usize) -> Self {
        let layout = Self::layout(capacity);
        // SAFETY: the layout's size is at least a page. Zeroed, so that no stale memory can be seen through a buffer.
        let address = unsafe { alloc_zeroed(layout) };
        let address = NonNull::new(address).unwrap_or_else(|| handle_alloc_error(layout));
        Self { address, capacity }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout, and dropped once.
        unsafe { dealloc(self.address.as_ptr(), Self::layout(self.capacity)) };
    }
}

/// Keeps up to `keep` bytes of free buffers. It never refuses one: what is in flight is bounded by whoever submits.
pub struct BufferPool {
    free: Mutex<(Vec<Block>, usize)>,
    keep: usize,
    lent: AtomicU64,
    peak: AtomicU64,
}

impl BufferPool {
    /// A pool that keeps at most `keep` bytes of buffers that nobody uses.
    pub fn new(keep: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Mutex::new((Vec::new(), 0)),
            keep,
            lent: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        })
    }

    /// A page-aligned buffer of `bytes`; its contents are what an earlier read left, or zero.
    pub fn take(self: &Arc<Self>, bytes: usize) -> PooledBuffer {
        let capacity = class_of(bytes);
        let reused = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let found = free.0.iter().rposition(|block| block.capacity == capacity);
            found.map(|index| {
                free.1 -= capacity;
                free.0.swap_remove(index)
            })
        };
        let block = reused.unwrap_or_else(|| Block::new(capacity));
        let lent = self.lent.fetch_add(capacity as u64, Ordering::Relaxed) + capacity as u64;
        self.peak.fetch_max(lent, Ordering::Relaxed);
        PooledBuffer {
            block: Some(block),
            bytes,
            pool: Arc::clone(self),
        }
    }

    /// Bytes lent out now.
    pub fn lent_bytes(&self) -> u64 {
        self.lent.load(Ordering::Relaxed)
    }

    /// The most bytes that were ever lent out at once.
    pub fn peak_bytes(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    fn give_back(&self, block: Block) {
        self.lent.fetch_sub(block.capacity as u64, Ordering::Relaxed);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.1 + block.capacity <= self.keep {
            free.1 += block.capacity;
            free.0.push(block);
        }
    }
}

/// A buffer that goes back to its pool when dropped.
pub struct PooledBuffer {
    block: Option<Block>,
    bytes: usize,
    pool: Arc<BufferPool>,
}

impl PooledBuffer {
    fn block(&self) -> &Block {
        self.block.as_ref().expect("a buffer holds its block until it is dropped")
    }

    pub(crate) fn address(&self) -> NonNull<u8> {
        self.block().address
    }
}

impl Deref for PooledBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the block is initialised memory of at least `bytes` and lives as long as the buffer.
        unsafe { std::slice::from_raw_parts(self.address().as_ptr(), self.bytes) }
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; the exclusive borrow of the buffer makes this the only access.
        unsafe { std::slice::from_raw_parts_mut(self.address().as_ptr(), self.bytes) }
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.pool.give_back(block);
        }
    }
}

impl std::fmt::Debug for PooledBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PooledBuffer({} bytes)", self.bytes)
    }
}
