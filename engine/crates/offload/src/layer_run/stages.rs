//! Where the pages of single units arrive, before their rows go to slots.

use flash::{BufferPool, LayerLayout, PAGE, PooledBuffer};

use crate::options::Granularity;
use crate::units::Units;

/// More reads at once than any flash serves faster for it.
const MOST: usize = 256;

/// The memory.
pub(crate) struct StageMemory {
    buffer: PooledBuffer,
    stage_bytes: usize,
    count: u32,
}

impl StageMemory {
    /// How much is held for units of this kind (bytes), none where they are read as requests: where a unit is more than what one read
    /// brings.
    pub fn bytes(layout: &LayerLayout, units: &Units, granularity: Granularity) -> usize {
        let is_one_read = granularity == Granularity::Neuron && layout.arrangement() == flash::Arrangement::Bundles;
        if is_one_read && units.units > 0 {
            MOST * layout.part_span(0, 0).bytes.max(layout.part_span(0, 1).bytes) as usize
        } else {
            0
        }
    }

    /// Memory for layers laid out like this.
    pub fn new(layout: &LayerLayout, units: &Units, granularity: Granularity) -> Option<Self> {
        let bytes = Self::bytes(layout, units, granularity);
        (bytes > 0).then(|| Self {
            buffer: BufferPool::new(0).take(bytes),
            stage_bytes: bytes / MOST,
            count: MOST as u32,
        })
    }

    /// The places in it.
    pub fn stages(&mut self) -> Stages {
        debug_assert!((self.stage_bytes as u64).is_multiple_of(PAGE), "{} bytes", self.stage_bytes);
        Stages {
            first: self.buffer.as_mut_ptr(),
            bytes: self.stage_bytes,
            count: self.count,
        }
    }
}

/// Places of equal size, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Stages {
    pub first: *mut u8,
    pub bytes: usize,
    pub count: u32,
}

impl Stages {
    /// The address of a place.
    pub fn at(&self, stage: u32) -> *mut u8 {
        assert!(stage < self.count, "stage {stage} of {}", self.count);
        // SAFETY: inside the memory, as asserted.
        unsafe { self.first.add(stage as usize * self.bytes) }
    }
}

// SAFETY: an address and sizes; each place is lent to one read at a time, under the state's lock.
unsafe impl Send for Stages {}
// SAFETY: as above.
unsafe impl Sync for Stages {}
