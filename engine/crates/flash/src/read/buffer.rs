//! Page-aligned buffers, kept for reuse: a direct read needs alignment, and fresh memory costs a page fault every 4 KiB.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// Keeps buffers that nobody uses as long as all of them, lent and free, stay within a limit. It never refuses one: what is in flight is
/// bounded by whoever submits.
pub struct BufferPool {
    state: Mutex<State>,
}

struct State {
    /// The one given back last is at the end.
    free: Vec<Block>,
    free_bytes: usize,
    lent: usize,
    peak: usize,
    most: usize,
}

impl State {
    /// Lets free buffers go, the oldest first, until `more` bytes fit beside the rest, or none is left.
    fn make_room(&mut self, more: usize) {
        let mut gone = 0;
        while gone < self.free.len() && self.lent + self.free_bytes + more > self.most {
            self.free_bytes -= self.free[gone].capacity;
            gone += 1;
        }
        self.free.drain(..gone);
    }
}

impl BufferPool {
    /// A pool that keeps free buffers while all together are at most `most` bytes.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: Vec::new(),
                free_bytes: 0,
                lent: 0,
                peak: 0,
                most,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another limit from now on; free buffers beyond it go at once.
    pub fn limit(&self, most: usize) {
        let mut state = self.state();
        state.most = most;
        state.make_room(0);
    }

    /// A page-aligned buffer of `bytes`; its contents are what an earlier read left, or zero.
    pub fn take(self: &Arc<Self>, bytes: usize) -> PooledBuffer {
        let capacity = class_of(bytes);
        let reused = {
            let mut state = self.state();
            let found = state.free.iter().rposition(|block| block.capacity == capacity);
            let reused = found.map(|index| state.free.remove(index));
            if reused.is_some() {
                state.free_bytes -= capacity;
            } else {
                state.make_room(capacity);
            }
            state.lent += capacity;
            state.peak = state.peak.max(state.lent);
            reused
        };
        PooledBuffer {
            block: Some(reused.unwrap_or_else(|| Block::new(capacity))),
            bytes,
            pool: Arc::clone(self),
        }
    }

    /// Bytes lent out now.
    pub fn lent_bytes(&self) -> u64 {
        self.state().lent as u64
    }

    /// Bytes of buffers that are kept and that nobody uses.
    pub fn free_bytes(&self) -> u64 {
        self.state().free_bytes as u64
    }

    /// The most bytes that were ever lent out at once.
    pub fn peak_bytes(&self) -> u64 {
        self.state().peak as u64
    }

    fn give_back(&self, block: Block) {
        let mut state = self.state();
        state.lent -= block.capacity;
        if state.lent + state.free_bytes + block.capacity <= state.most {
            state.free_bytes += block.capacity;
            state.free.push(block);
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

#[cfg(test)]
mod tests {
    use super::{BufferPool, PAGE};

    #[test]
    fn what_is_lent_and_what_is_kept_stay_within_the_limit_together() {
        let page = PAGE as usize;
        let pool = BufferPool::new(8 * page);
        let lent: Vec<_> = (0..6).map(|_| pool.take(page)).collect();
        assert_eq!((pool.lent_bytes(), pool.free_bytes()), (6 * PAGE, 0));
        drop(lent);
        assert_eq!((pool.lent_bytes(), pool.free_bytes()), (0, 6 * PAGE));
        // Another size takes the room of those that nobody uses.
        let large = pool.take(4 * page);
        assert_eq!((pool.lent_bytes(), pool.free_bytes()), (4 * PAGE, 4 * PAGE));
        let larger = pool.take(8 * page);
        assert_eq!((pool.lent_bytes(), pool.free_bytes()), (12 * PAGE, 0), "never refused");
        drop(large);
        assert_eq!((pool.lent_bytes(), pool.free_bytes()), (8 * PAGE, 0), "no room to keep it");
        drop(larger);
        assert_eq!((pool.free_bytes(), pool.peak_bytes()), (8 * PAGE, 12 * PAGE));
        pool.limit(3 * page);
        assert_eq!(pool.free_bytes(), 0, "eight pages are one buffer");
        drop(pool.take(2 * page));
        assert_eq!(pool.free_bytes(), 2 * PAGE);
    }

    #[test]
    fn a_buffer_that_is_kept_is_taken_again() {
        let pool = BufferPool::new(1 << 20);
        let first = pool.take(100);
        let address = first.as_ptr();
        drop(first);
        assert_eq!(pool.take(4000).as_ptr(), address, "of one size class");
    }
}
