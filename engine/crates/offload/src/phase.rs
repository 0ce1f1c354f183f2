//! The two divisions of memory, and the change from one to the other.
//!
//! A prompt wants large buffers for layers that stream past, and what stays of them is a beginning; decoding wants slots, and has no use
//! for the buffers. So segments shrink before a prompt takes its buffers, and grow once these were given back. (PowerInfer-2, section 4.2)

use crate::Offload;
use crate::error::OffloadError;
use crate::needs::Needs;
use crate::options::{Division, OffloadOptions};
use crate::prefill::PrefillScratch;
use crate::units::Units;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A prompt is read.
    Prefill,
    /// Tokens are generated, one by one.
    Decode,
}

impl Phase {
    /// What a pass over so many tokens is.
    pub fn of(tokens: usize) -> Self {
        if tokens > 1 { Self::Prefill } else { Self::Decode }
    }

    pub fn division(self, options: &OffloadOptions) -> &Division {
        match self {
            Self::Prefill => &options.prefill,
            Self::Decode => &options.decode,
        }
    }

    /// Slots of the hot and of the cold segment: not more than there is to be kept.
    pub fn slots(self, options: &OffloadOptions, units: &Units, needs: &Needs) -> [u32; 2] {
        let slots = |bytes: usize, slot: usize, keys: u32| u32::try_from(bytes / slot).unwrap_or(u32::MAX).min(keys);
        let division = self.division(options);
        [
            slots(division.hot, needs.hot_slot, units.gate_keys()),
            slots(division.cold, needs.cold_slot, units.up_down_keys()),
        ]
    }
}

impl Offload {
    /// Divides memory for a phase, if it is divided for the other. What the segments hold stays as far as there is room; what leaves does
    /// so in their policies' order. Memory goes back to the system before anything takes as much.
    pub(crate) fn enter(&mut self, phase: Phase) -> Result<(), OffloadError> {
        if self.phase == phase {
            return Ok(());
        }
        self.settle();
        self.lists.free_spare_buffers();
        let ground = &self.ground;
        ground.reader.limit_buffers(phase.division(&ground.options).reads);
        if phase == Phase::Decode {
            self.prefill = PrefillScratch::default();
            cache::return_freed_memory();
        }
        self.cache.resize(&phase.slots(&ground.options, &ground.units, &self.needs))?;
        if phase == Phase::Decode {
            self.cache.populate();
        }
        self.phase = phase;
        Ok(())
    }
}
