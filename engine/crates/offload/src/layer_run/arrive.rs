//! GIO and UDIO end: where the bytes of a read go, and what waited for them.

use flash::{Completion, Data, PageDone};
use spans::{Activity, Track};

use super::LayerRun;
use super::state::{COLD, Fired, GATE_TAG, HOT, Place, SUM, State, UP_DOWN_TAG};
use crate::error::OffloadError;
use crate::options::GateReads;
use crate::units::{Rows, copy_rows};

impl LayerRun<'_> {
    /// A request was answered: its bytes go to their slot or buffer, and what waited for them becomes ready.
    pub(super) fn take(&self, state: &mut State<'_>, completion: Completion, track: &mut Track<'_>) {
        state.requests_left -= 1;
        let tag = completion.tag;
        let what = match tag {
            u64::MAX => Activity::ReadRows,
            _ if tag & UP_DOWN_TAG != 0 => Activity::ReadUpDown,
            _ => Activity::ReadGate,
        };
        track.read(what, self.layer, completion.started, completion.finished);
        if tag != u64::MAX {
            let is_unit = tag & UP_DOWN_TAG != 0;
            state.requested_bytes -= if is_unit {
                self.units.up_down_bytes()
            } else {
                self.units.gates_in_flight
            };
        }
        let outcome = match completion.outcome {
            Ok(data) if tag == u64::MAX => {
                state.counters.bytes += data.bytes();
                Ok(())
            }
            Ok(data) if tag & UP_DOWN_TAG != 0 => self.take_unit(state, tag as u32, &data),
            Ok(data) => self.take_gate(state, tag as u32, tag >> 33 == 1, data),
            Err(error) => {
                self.give_up(state, tag);
                Err(error.into())
            }
        };
        self.note(state, outcome);
    }

    /// Pages of units have arrived: their rows go to slots, and others' pages take their place.
    pub(super) fn take_pages(&self, state: &mut State<'_>, done: &mut Vec<PageDone>, track: &mut Track<'_>) {
        let Some(stages) = self.stages.filter(|_| !done.is_empty()) else {
            return;
        };
        for PageDone {
            tag,
            outcome,
            started,
            finished,
            ..
        } in done.drain(..)
        {
            state.pages_left -= 1;
            let index = tag & !GATE_TAG;
            let is_gate = tag != index;
            let what = if is_gate { Activity::ReadGate } else { Activity::ReadUpDown };
            track.read(what, self.layer, started, finished);
            let stage = if is_gate {
                state.lists.gate_unit(index).stage
            } else {
                state.lists.unit(index).stage
            };
            // SAFETY: the read into this place is over, and the place is free for the next only below.
            let pages = unsafe { std::slice::from_raw_parts(stages.at(stage), stages.bytes) };
            let outcome = match outcome {
                Ok(()) if is_gate && self.is_predicted => self.take_gate_rows(state, index, pages),
                Ok(()) if is_gate => self.take_gate_group(state, index, pages),
                Ok(()) => self.take_bundles(state, index, pages),
                Err(error) => {
                    self.give_up_pages(state, tag);
                    Err(error.into())
                }
            };
            state.lists.free_stages.push(stage);
            self.note(state, outcome);
        }
        if state.error.is_some() {
            // What has no place yet will not be read any more.
            while let Some(tag) = state.lists.next_wanted() {
                self.give_up_pages(state, tag);
            }
        } else if self.gates == GateReads::Apart {
            // Clusters that are whole make room for others.
            let asked = self.ask_on(state);
            self.note(state, asked);
        }
        let submitted = self.submit_pages(state);
        self.note(state, submitted);
    }

    /// A failed request: its slot is free again.
    pub(super) fn give_up(&self, state: &mut State<'_>, tag: u64) {
        let index = tag as u32;
        if tag == u64::MAX {
            return;
        }
        if tag & UP_DOWN_TAG != 0 {
            return self.give_up_unit(state, index);
        }
        if tag >> 33 == 1 {
            let (expert, cluster) = (
                self.experts[(index / self.units.clusters) as usize],
                index % self.units.clusters,
            );
            let key = self.units.gate_key(self.layer, expert, cluster);
            let aborted = state.cache.segments_mut()[HOT].abort(key).map_err(OffloadError::from);
            self.note(state, aborted);
        }
    }

    /// Pages that will not be read: the slot for what is in them is free again.
    pub(super) fn give_up_pages(&self, state: &mut State<'_>, tag: u32) {
        let index = tag & !GATE_TAG;
        if tag == index {
            return self.give_up_unit(state, index);
        }
        if !self.is_predicted {
            return self.give_up_gate_group(state, index);
        }
        if state.lists.gate_unit(index).reserved {
            let expert = self.experts[(index / self.units.gate_units) as usize];
            let key = self.units.gate_key(self.layer, expert, index % self.units.gate_units);
            let aborted = state.cache.segments_mut()[HOT].abort(key).map_err(OffloadError::from);
            self.note(state, aborted);
        }
    }

    /// A unit that will not be read: its slot is free again.
    pub(super) fn give_up_unit(&self, state: &mut State<'_>, index: u32) {
        if !state.lists.unit(index).reserved {
            return;
        }
        let (expert, unit) = (self.experts[(index / self.units.units) as usize], index % self.units.units);
        let key = self.units.up_down_key(self.layer, expert, unit);
        let aborted = state.cache.segments_mut()[COLD].abort(key).map_err(OffloadError::from);
        self.note(state, aborted);
    }

    /// Fills the reserved slot of `key`, or a buffer, by `fill`; the bytes stay until the layer's end.
    pub(super) fn store(
        &self,
        state: &mut State<'_>,
        segment: usize,
        key: u32,
        reserved: bool,
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), OffloadError>,
    ) -> Result<Place, OffloadError> {
        if !reserved {
            let mut buffer = state.lists.buffer(bytes);
            fill(&mut buffer)?;
            let place = Place(buffer.as_ptr());
            state.lists.transient.push(buffer);
            return Ok(place);
        }
        let part = &mut state.cache.segments_mut()[segment];
        // SAFETY: reads go to the reader's own buffers, never into slots: only this thread, which holds the lock, writes here.
        let slot = unsafe { part.loading_bytes(key) };
        let filled = match slot {
            Some(slot) => fill(slot),
            None => Err(OffloadError::Input {
                what: format!("{} {key} was not being read", part.name()),
            }),
        };
        if let Err(error) = filled {
            part.abort(key)?;
            return Err(error);
        }
        let slot = part.commit(key)?;
        part.pin(key)?;
        let place = Place(part.address(slot));
        state.lists.pinned.push((segment, key));
        Ok(place)
    }

    pub(super) fn take_gate(&self, state: &mut State<'_>, index: u32, reserved: bool, data: Data) -> Result<(), OffloadError> {
        let (expert, cluster) = (
            self.experts[(index / self.units.clusters) as usize],
            index % self.units.clusters,
        );
        state.counters.bytes += data.bytes();
        let positions = self.units.of_cluster(cluster);
        let key = self.units.gate_key(self.layer, expert, cluster);
        let place = self.store(state, HOT, key, reserved, self.units.gate_bytes(), |out| {
            copy_rows(self.layout, &data, Rows::Gate, expert, positions, out).map(drop)
        })?;
        if self.gates == GateReads::Bundles {
            // They still take their room.
            state.requested_bytes += self.units.gates_in_flight;
            state.lists.gates[index as usize].bundles = Some(data);
        }
        state.lists.gates[index as usize].place = place;
        state.lists.ready_gates.push_back(index);
        Ok(())
    }

    /// A unit that came with its cluster's gate rows: its rows go where those of a read of their own would.
    pub(super) fn take_from_bundles(&self, state: &mut State<'_>, index: u32, data: &Data) -> Result<(), OffloadError> {
        let (expert, unit) = (self.experts[(index / self.units.units) as usize], index % self.units.units);
        let positions = self.units.of_unit(unit);
        let key = self.units.up_down_key(self.layer, expert, unit);
        let reserved = state.lists.unit(index).reserved;
        let place = self.store(state, COLD, key, reserved, self.units.up_down_bytes(), |out| {
            let after_up = copy_rows(self.layout, data, Rows::Up, expert, positions.clone(), out)?;
            copy_rows(self.layout, data, Rows::Down, expert, positions, &mut out[after_up..]).map(drop)
        })?;
        state.lists.unit(index).place = place;
        Ok(())
    }

    pub(super) fn take_unit(&self, state: &mut State<'_>, index: u32, data: &Data) -> Result<(), OffloadError> {
        state.counters.bytes += data.bytes();
        let (expert, unit) = (self.experts[(index / self.units.units) as usize], index % self.units.units);
        let positions = self.units.of_unit(unit);
        self.fill_unit(state, index, |out| {
            let after_up = copy_rows(self.layout, data, Rows::Up, expert, positions.clone(), out)?;
            copy_rows(self.layout, data, Rows::Down, expert, positions, &mut out[after_up..]).map(drop)
        })
    }

    /// The pages of a group's up rows and down rows.
    fn take_bundles(&self, state: &mut State<'_>, index: u32, pages: &[u8]) -> Result<(), OffloadError> {
        state.counters.bytes += pages.len() as u64;
        let neurons = self.units.of_unit(index % self.units.units).len();
        let (ups, downs) = (neurons * self.units.up_row, neurons * self.units.down_row);
        // In the file the down rows come after room for a whole group's up rows, in memory after those that there are.
        let first_down = self.units.group as usize * self.units.up_row;
        self.fill_unit(state, index, |out| {
            out[..ups].copy_from_slice(&pages[..ups]);
            out[ups..ups + downs].copy_from_slice(&pages[first_down..first_down + downs]);
            Ok(())
        })
    }

    /// A unit is here: `fill` writes its up rows, then its down rows. Blocks that waited for nothing else become ready.
    fn fill_unit(
        &self,
        state: &mut State<'_>,
        index: u32,
        fill: impl FnOnce(&mut [u8]) -> Result<(), OffloadError>,
    ) -> Result<(), OffloadError> {
        let (route, unit) = (index / self.units.units, index % self.units.units);
        let key = self.units.up_down_key(self.layer, self.experts[route as usize], unit);
        let reserved = state.lists.unit(index).reserved;
        let place = self.store(state, COLD, key, reserved, self.units.up_down_bytes(), fill)?;
        let lists = &mut state.lists;
        let entry = lists.unit(index);
        entry.place = place;
        let cluster = entry.cluster;
        let positions = self.units.of_unit(unit);
        let first_block = route * self.units.blocks;
        for block in positions.start / SUM..positions.end.div_ceil(SUM) {
            let waiting = &mut lists.blocks[(first_block + block) as usize];
            // One that was dealt with nothing of this unit in it does not wait for it; nor does one that is dealt later.
            let fired = |fired: &Fired| positions.contains(&fired.position);
            if waiting.dealt && (self.units.unit <= SUM || waiting.fired.iter().any(fired)) {
                waiting.reads -= 1;
                if waiting.reads == 0 {
                    lists.ready_blocks.push_back(first_block + block);
                }
            }
        }
        let gate = &mut lists.gates[cluster as usize];
        gate.reads -= 1;
        // Looked up already, and this was its last read: the cluster is out of the pipeline.
        if gate.reads == 0 && cluster < state.next_look_up {
            state.in_flight -= 1;
            state.reading -= 1;
        }
        Ok(())
    }
}
