//! The engine's own reader under load.

use std::sync::Arc;

use flash::{
    BackendChoice, BackendUsed, BufferPool, FileDisk, FlashFile, FlashReader, PageDone, PageRead, PooledBuffer, Reader,
    ReaderOptions,
};

use crate::error::MeasureError;
use crate::results::ReadCell;
use crate::scratch::{Numbers, Scratch};

/// A reader of the scratch file with memory for what is in flight.
pub(crate) struct Load {
    reader: Reader,
    buffer: PooledBuffer,
    places: u32,
    block: u64,
    done: Vec<PageDone>,
}

impl Load {
    /// `in_flight` reads at a time, and as many waiting behind them, as a layer's misses do.
    pub fn new(scratch: &Scratch, cell: &ReadCell) -> Result<Self, MeasureError> {
        let backend = if cell.uring {
            BackendChoice::Uring(cell.in_flight)
        } else {
            BackendChoice::Lanes(cell.in_flight)
        };
        let file = Arc::new(FlashFile::blank(
            &scratch.path,
            scratch.bytes,
            scratch.page_sums.sums().to_vec(),
        ));
        let disk = FileDisk::open(&scratch.path, cell.direct)?;
        let options = ReaderOptions {
            backend,
            direct: cell.direct,
            pin: if cell.uring {
                Vec::new()
            } else {
                vec![cell.core; cell.in_flight as usize]
            },
            ..ReaderOptions::default()
        };
        let places = if cell.in_flight == 1 { 1 } else { 2 * cell.in_flight };
        Ok(Self {
            reader: Reader::with_file_disk(&file, disk, options)?,
            buffer: BufferPool::new(0).take(places as usize * cell.block as usize),
            places,
            block: cell.block,
            done: Vec::new(),
        })
    }

    /// What serves the reads.
    pub fn used(&self) -> &BackendUsed {
        self.reader.backend_used()
    }

    /// Reads at these offsets, all of them, keeping as many in flight as there are places. `second` says that pages before them were
    /// just read. Adds each read's nanoseconds to `latencies`.
    pub fn read(
        &mut self,
        mut offsets: impl Iterator<Item = u64>,
        second: bool,
        latencies: &mut Vec<f64>,
    ) -> Result<(), MeasureError> {
        let mut free: Vec<u32> = (0..self.places).collect();
        let mut reads = Vec::with_capacity(free.len());
        let first = self.buffer.as_mut_ptr();
        loop {
            while let Some(place) = free.pop() {
                let Some(offset) = offsets.next() else {
                    free.push(place);
                    break;
                };
                reads.push(PageRead {
                    tag: place,
                    bytes: self.block as u32,
                    offset,
                    // SAFETY: the buffer is as long as all places together.
                    into: unsafe { first.add(place as usize * self.block as usize) },
                    second_phase: second,
                });
            }
            if reads.is_empty() && free.len() == self.places as usize {
                return Ok(());
            }
            if !reads.is_empty() {
                // SAFETY: every place is lent to one read at a time, the buffer is this value's own and nobody looks into it, and the
                // reader, declared before it, is dropped before it.
                unsafe { self.reader.read_pages(&reads) }?;
                reads.clear();
            }
            self.reader.wait_pages(&mut self.done, None);
            for done in self.done.drain(..) {
                done.outcome?;
                latencies.push((done.finished - done.started).as_nanos() as f64);
                free.push(done.tag);
            }
        }
    }
}

/// Offsets of `count` blocks in a range: anywhere, or one after the other from `next` on.
pub(super) fn offsets(cell: &ReadCell, count: u64, numbers: &mut Numbers, next: &mut u64) -> Vec<u64> {
    let blocks = (cell.range / cell.block).max(1);
    (0..count)
        .map(|_| {
            if cell.random {
                numbers.below(blocks) * cell.block
            } else {
                *next = (*next + 1) % blocks;
                *next * cell.block
            }
        })
        .collect()
}
