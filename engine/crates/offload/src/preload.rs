//! The segments filled from the file before the first token: a text without a prompt then begins as one whose prompt has been read.

use std::sync::Arc;

use cache::Segment;
use flash::{Part, Stream, Target};

use crate::Offload;
use crate::error::OffloadError;
use crate::keep::put;
use crate::layer_run::{COLD, HOT};
use crate::phase::Phase;
use crate::units::{Rows, Units, copy_rows};

/// Clusters on their way while one is copied. Two in all are within what decoding's buffers are counted with, whole experts too.
const AHEAD: usize = 1;
/// Tags of these reads, apart from those of decode and of prefill.
const FIRST_TAG: u64 = 1 << 41;

/// What of an expert is kept, from its first position on: units of gate rows, and of up and down.
#[derive(Clone, Copy)]
struct Share {
    layer: u32,
    expert: u32,
    gates: u32,
    others: u32,
}

impl Share {
    /// Every expert's part of the slots, which differ by at most one.
    fn of_all(units: &Units, [hot, cold]: [u32; 2]) -> Vec<Self> {
        let experts = units.layers * units.experts;
        let part = |slots: u32, place: u32| {
            let before = |place: u32| u64::from(slots) * u64::from(place) / u64::from(experts);
            (before(place + 1) - before(place)) as u32
        };
        (0..experts)
            .map(|place| Self {
                layer: place / units.experts,
                expert: place % units.experts,
                gates: part(hot, place),
                others: part(cold, place),
            })
            .collect()
    }

    /// Positions below which gate rows, and up and down, are kept.
    fn ends(self, units: &Units) -> [u32; 2] {
        [(self.gates, units.gate_unit), (self.others, units.unit)].map(|(count, unit)| (count * unit).min(units.neurons))
    }
}

impl Offload {
    /// Fills the segments of decoding, expert by expert, with the first rows of each in the file's order. Clusters of which anything is kept
    /// are read, within the buffers that decoding has. What the segments hold already stays. Returns the bytes that were read.
    ///
    /// Errors: a read that failed; what arrived before it is kept.
    pub fn preload(&mut self) -> Result<u64, OffloadError> {
        self.enter(Phase::Decode)?;
        self.settle();
        let file = Arc::clone(&self.ground.file);
        let reader = Arc::clone(&self.ground.reader);
        let units = &self.ground.units;
        let segments = self.cache.segments_mut();
        let shares = Share::of_all(units, [HOT, COLD].map(|place| segments[place].counts().slots));
        let mut blocks = Vec::new();
        let mut targets: Vec<Target> = Vec::new();
        for share in shares {
            let [gates, others] = share.ends(units);
            for start in (0..gates.max(others)).step_by(units.cluster as usize) {
                let end = (start + units.cluster).min(gates.max(others));
                let part = match (start < gates, start < others) {
                    (true, false) => Part::Gate,
                    (false, true) => Part::UpDown,
                    _ => Part::Whole,
                };
                targets.push(units.target(share.layer, share.expert, part, start..end));
                blocks.push((share, start..end));
            }
        }
        let mut stream = Stream::new(&*reader, targets, AHEAD, FIRST_TAG)?;
        let mut bytes = 0;
        for (share, positions) in blocks {
            let Some(block) = stream.next() else { break };
            let (_, data) = block?;
            bytes += data.bytes();
            let Share {
                layer,
                expert,
                gates,
                others,
            } = share;
            let layout = &file.layers()[layer as usize];
            let of = |unit: u32, most: u32| (positions.start / unit)..positions.end.div_ceil(unit).min(most);
            for unit in of(units.gate_unit, gates) {
                keep(&mut segments[HOT], units.gate_key(layer, expert, unit), |slot| {
                    copy_rows(layout, &data, Rows::Gate, expert, units.of_gate_unit(unit), slot).map(drop)
                })?;
            }
            for unit in of(units.unit, others) {
                keep(&mut segments[COLD], units.up_down_key(layer, expert, unit), |slot| {
                    let rows = units.of_unit(unit);
                    let ups = copy_rows(layout, &data, Rows::Up, expert, rows.clone(), slot)?;
                    copy_rows(layout, &data, Rows::Down, expert, rows, &mut slot[ups..]).map(drop)
                })?;
            }
        }
        Ok(bytes)
    }
}

/// Only into free slots: what is there stays.
fn keep(segment: &mut Segment, key: u32, write: impl FnOnce(&mut [u8]) -> Result<(), OffloadError>) -> Result<(), OffloadError> {
    let is_free = segment.counts().resident < segment.counts().slots;
    if is_free && !segment.is_resident(key) {
        put(segment, key, write)
    } else {
        Ok(())
    }
}
