//! GIO and UDIO begin: what is looked up in the cache, and what is asked of the reader because it is not there.

use cache::{Lookup, Reserve};
use flash::{PageRead, Part, Request};

use super::LayerRun;
use super::state::{COLD, GATE_TAG, HOT, Place, State, UP_DOWN_TAG};
use crate::error::OffloadError;
use crate::options::{GateReads, Granularity};

/// Gates are asked for ahead of their computation up to so many bytes (and those of one cluster), which buffers must hold.
pub(crate) const MOST_REQUESTED_BYTES: usize = 16 << 20;

impl LayerRun<'_> {
    /// Asks for the gates of the next clusters (and, in one phase, for everything of them) until as much is on its way as may be.
    /// What is in memory is on no way, so when nothing is missing all clusters are ready at once.
    pub(super) fn ask_on(&self, state: &mut State<'_>) -> Result<(), OffloadError> {
        if self.is_predicted {
            let clusters = state.lists.gates.len() as u32;
            state.lists.ready_predictions.extend(state.next_ask..clusters);
            state.next_ask = clusters;
            return Ok(());
        }
        while state.next_ask < state.lists.gates.len() as u32 && state.requested_bytes < MOST_REQUESTED_BYTES {
            let index = state.next_ask;
            state.next_ask += 1;
            let (route, cluster) = (index / self.units.clusters, index % self.units.clusters);
            self.ask_gate(state, route, self.experts[route as usize], cluster)?;
            if self.granularity.is_one_phase() {
                self.ask_units(state, route, index, self.units.of_cluster(cluster))?;
            }
            if state.next_ask == state.lists.gates.len() as u32 && self.granularity == Granularity::Tensor {
                self.load_bystanders(state);
            }
        }
        Ok(())
    }

    /// Gives the reader what was asked for since the last time, cluster by cluster: only ranges of one cluster share reads. What is read for
    /// nothing between them is then the same whenever a cluster's turn comes, and with it the bytes that a token reads.
    pub(super) fn submit(&self, state: &mut State<'_>) -> Result<(), OffloadError> {
        let mut requests = std::mem::take(&mut state.lists.requests);
        let mut submitted = Ok(());
        let mut rest = requests.as_slice();
        while let Some(first) = rest.first() {
            let count = match self.cluster_of(state, first.tag) {
                None => 1,
                cluster => rest
                    .iter()
                    .take_while(|one| self.cluster_of(state, one.tag) == cluster)
                    .count(),
            };
            let (these, others) = rest.split_at(count);
            rest = others;
            if submitted.is_ok() {
                submitted = self.reader.submit(these);
            }
            match submitted {
                Ok(()) => state.requests_left += these.len() as u32,
                Err(_) => these.iter().for_each(|request| self.give_up(state, request.tag)),
            }
        }
        requests.clear();
        state.lists.requests = requests;
        submitted?;
        self.submit_pages(state)
    }

    /// The cluster that a request is for; none for what was not asked for.
    fn cluster_of(&self, state: &mut State<'_>, tag: u64) -> Option<u32> {
        match tag {
            u64::MAX => None,
            _ if tag & UP_DOWN_TAG != 0 => Some(state.lists.unit(tag as u32).cluster),
            _ => Some(tag as u32),
        }
    }

    /// Reads the pages of as many wanted units as there are places for.
    pub(super) fn submit_pages(&self, state: &mut State<'_>) -> Result<(), OffloadError> {
        let Some(stages) = &self.stages else { return Ok(()) };
        let mut reads = std::mem::take(&mut state.lists.reads);
        while let Some(stage) = state.lists.free_stages.pop() {
            let Some(tag) = state.lists.next_wanted() else {
                state.lists.free_stages.push(stage);
                break;
            };
            let index = tag & !GATE_TAG;
            let is_gate = tag != index;
            let unit = if is_gate {
                state.lists.gate_unit(index)
            } else {
                state.lists.unit(index)
            };
            unit.stage = stage;
            // Units are the file's groups here, of gate rows as of the rest.
            let expert = self.experts[(index / self.units.units) as usize];
            let part = 2 * u64::from(index % self.units.units) + u64::from(!is_gate);
            let span = self.layout.part_span(expert, part);
            reads.push(PageRead {
                tag,
                bytes: span.bytes as u32,
                offset: span.offset,
                into: stages.at(stage),
                second_phase: !is_gate,
            });
        }
        if reads.is_empty() {
            return Ok(());
        }
        // SAFETY: each stage is a place of its own that is free until the read's end is taken, and the stages' memory outlives the run,
        // which takes the end of every read.
        let submitted = unsafe { self.reader.read_pages(&reads) };
        match submitted {
            Ok(()) => state.pages_left += reads.len() as u32,
            Err(_) => reads.iter().for_each(|read| self.give_up_pages(state, read.tag)),
        }
        reads.clear();
        state.lists.reads = reads;
        Ok(submitted?)
    }

    pub(super) fn ask_gate(&self, state: &mut State<'_>, route: u32, expert: u32, cluster: u32) -> Result<(), OffloadError> {
        let index = route * self.units.clusters + cluster;
        let key = self.units.gate_key(self.layer, expert, cluster);
        state.counters.gate_look_ups += 1;
        let segment = &mut state.cache.segments_mut()[HOT];
        if let Lookup::Hit(slot) = segment.lookup(key)? {
            segment.pin(key)?;
            state.lists.gates[index as usize].place = Place(segment.address(slot));
            state.lists.pinned.push((HOT, key));
            state.lists.ready_gates.push_back(index);
            return Ok(());
        }
        state.counters.gate_misses += 1;
        let reserved = matches!(segment.reserve(key)?, Reserve::Slot { .. });
        state.lists.gates[index as usize].missed = true;
        if self.gates == GateReads::Apart {
            self.ask_gate_groups(state, index, reserved);
            return Ok(());
        }
        // The tag says where its bytes go: into the slot, or into a buffer.
        let tag = u64::from(index) | if reserved { 1 << 33 } else { 0 };
        let part = if self.gates == GateReads::Bundles {
            Part::Whole
        } else {
            Part::Gate
        };
        let target = self.units.target(self.layer, expert, part, self.units.of_cluster(cluster));
        state.requested_bytes += self.units.gates_in_flight;
        state.lists.requests.push(Request { tag, target });
        Ok(())
    }

    /// Looks up the units of up and down that hold `positions`, and asks for those that are missing.
    pub(super) fn ask_units(
        &self,
        state: &mut State<'_>,
        route: u32,
        cluster: u32,
        positions: std::ops::Range<u32>,
    ) -> Result<(), OffloadError> {
        for unit in positions.start / self.units.unit..positions.end.div_ceil(self.units.unit) {
            self.ask_unit(state, route, cluster, unit)?;
        }
        Ok(())
    }

    pub(super) fn ask_unit(&self, state: &mut State<'_>, route: u32, cluster: u32, unit: u32) -> Result<(), OffloadError> {
        let index = route * self.units.units + unit;
        let entry = state.lists.unit(index);
        if entry.asked {
            return Ok(());
        }
        entry.asked = true;
        entry.cluster = cluster;
        let expert = self.experts[route as usize];
        let key = self.units.up_down_key(self.layer, expert, unit);
        let segment = &mut state.cache.segments_mut()[COLD];
        state.counters.look_ups += 1;
        if let Lookup::Hit(slot) = segment.lookup(key)? {
            segment.pin(key)?;
            entry.place = Place(segment.address(slot));
            state.lists.pinned.push((COLD, key));
            return Ok(());
        }
        state.counters.misses += 1;
        let gate = &mut state.lists.gates[cluster as usize];
        state.counters.beside += u64::from(gate.missed);
        let bundles = gate.bundles.take();
        let entry = state.lists.unit(index);
        entry.reserved = matches!(segment.reserve(key)?, Reserve::Slot { .. });
        if let Some(data) = bundles {
            let taken = self.take_from_bundles(state, index, &data);
            state.lists.gates[cluster as usize].bundles = Some(data);
            return taken;
        }
        state.lists.gates[cluster as usize].reads += 1;
        if self.stages.is_some() {
            state.lists.wanted.push_back(index);
            return Ok(());
        }
        state.requested_bytes += self.units.up_down_bytes();
        let target = self.units.target(self.layer, expert, Part::UpDown, self.units.of_unit(unit));
        state.lists.requests.push(Request {
            tag: u64::from(index) | UP_DOWN_TAG,
            target,
        });
        Ok(())
    }

    /// Whole tensors bring experts that nobody asked for; they are read and go where there is room.
    pub(super) fn load_bystanders(&self, state: &mut State<'_>) {
        let bystanders = (0..self.units.experts).filter(|expert| !self.experts.contains(expert));
        for expert in bystanders {
            let gate = state.cache.segments()[HOT].is_resident(self.units.gate_key(self.layer, expert, 0));
            let rest = state.cache.segments()[COLD].is_resident(self.units.up_down_key(self.layer, expert, 0));
            let part = match (gate, rest) {
                (true, true) => continue,
                (true, false) => Part::UpDown,
                (false, true) => Part::Gate,
                (false, false) => Part::Whole,
            };
            let target = self.units.target(self.layer, expert, part, 0..self.units.neurons);
            state.lists.requests.push(Request { tag: u64::MAX, target });
        }
    }
}
