//! What stays in memory of what prefill streamed past: decoding then begins with a warm cache instead of reading it all again.

use std::cmp::Reverse;
use std::ops::Range;

use cache::{Lookup, Reserve, Segment, SegmentedCache};

use crate::error::OffloadError;
use crate::layer_run::{COLD, HOT};
use crate::units::Units;

/// Some neurons of an expert that are in memory whole for a moment: their rows, one matrix after the other.
pub(crate) struct StreamedBlock<'a> {
    pub layer: u32,
    pub expert: u32,
    pub positions: Range<u32>,
    pub gates: &'a [u8],
    pub ups: &'a [u8],
    pub downs: &'a [u8],
    /// How often each of the neurons fired.
    pub fired: &'a [u32],
}

impl StreamedBlock<'_> {
    /// Puts the gates into the hot segment and the neurons that fired most into the cold one: as many as are this block's share of its
    /// slots, so that no layer pushes out what another one kept. Only whole clusters and units inside the block.
    pub fn keep(&self, units: &Units, cache: &mut SegmentedCache) -> Result<(), OffloadError> {
        let segments = cache.segments_mut();
        let whole = |part: &Range<u32>| self.positions.start <= part.start && part.end <= self.positions.end;
        let rows = |part: &Range<u32>, bytes: usize| {
            (part.start - self.positions.start) as usize * bytes..(part.end - self.positions.start) as usize * bytes
        };
        let gates: Vec<u32> = if units.gate_unit == units.cluster {
            (self.positions.start.div_ceil(units.cluster)..self.positions.end.div_ceil(units.cluster))
                .filter(|&cluster| whole(&units.of_gate_unit(cluster)))
                .collect()
        } else {
            self.hottest(&segments[HOT], units.gate_unit, units.gate_keys(), |unit| {
                units.of_gate_unit(unit)
            })
        };
        for unit in gates {
            let part = units.of_gate_unit(unit);
            let key = units.gate_key(self.layer, self.expert, unit);
            fill(&mut segments[HOT], key, &[&self.gates[rows(&part, units.gate_row)]])?;
        }
        for unit in self.hottest(&segments[COLD], units.unit, units.up_down_keys(), |unit| units.of_unit(unit)) {
            let part = units.of_unit(unit);
            let key = units.up_down_key(self.layer, self.expert, unit);
            let (ups, downs) = (rows(&part, units.up_row), rows(&part, units.down_row));
            fill(&mut segments[COLD], key, &[&self.ups[ups], &self.downs[downs]])?;
        }
        Ok(())
    }

    /// The units whose neurons fired most, as many as are this block's share of the segment's slots. The hottest last: what was used last
    /// leaves last.
    fn hottest(&self, segment: &Segment, unit: u32, keys: u32, of_unit: impl Fn(u32) -> Range<u32>) -> Vec<u32> {
        let slots = u64::from(segment.counts().slots);
        let share = (slots * self.positions.len() as u64 / u64::from(unit)).div_ceil(u64::from(keys));
        let mut hottest: Vec<(u32, u32)> = (self.positions.start.div_ceil(unit)..self.positions.end.div_ceil(unit))
            .filter(|&unit| of_unit(unit).start >= self.positions.start && of_unit(unit).end <= self.positions.end)
            .map(|unit| {
                let part = of_unit(unit);
                let first = self.positions.start;
                let fired: &[u32] = &self.fired[(part.start - first) as usize..(part.end - first) as usize];
                (fired.iter().sum(), unit)
            })
            .filter(|&(fired, _)| fired > 0)
            .collect();
        hottest.sort_unstable_by_key(|&(fired, unit)| (Reverse(fired), unit));
        hottest.truncate(share as usize);
        hottest.iter().rev().map(|&(_, unit)| unit).collect()
    }
}

/// Rows, one part after the other.
fn fill(segment: &mut Segment, key: u32, parts: &[&[u8]]) -> Result<(), OffloadError> {
    put(segment, key, |slot| {
        let mut rest = slot;
        for part in parts {
            let (room, behind) = rest.split_at_mut(part.len());
            room.copy_from_slice(part);
            rest = behind;
        }
        Ok(())
    })
}

/// Writes a thing that is not there yet into a slot, if the policy has one for it. Where `write` fails the slot is free again.
pub(crate) fn put(
    segment: &mut Segment,
    key: u32,
    write: impl FnOnce(&mut [u8]) -> Result<(), OffloadError>,
) -> Result<(), OffloadError> {
    if !matches!(segment.lookup(key)?, Lookup::Miss) || !matches!(segment.reserve(key)?, Reserve::Slot { .. }) {
        return Ok(());
    }
    // SAFETY: nothing else reads into a segment in prefill and before the first token; streams have buffers of their own.
    let slot = unsafe { segment.loading_bytes(key) };
    match write(slot.expect("a reserved slot has its bytes")) {
        Ok(()) => Ok(segment.commit(key).map(drop)?),
        Err(error) => {
            segment.abort(key)?;
            Err(error)
        }
    }
}
