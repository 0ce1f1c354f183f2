//! How gate rows are read, which can change between two tokens: what of it has a meaning for a run.

use flash::{Arrangement, FlashFile};

use crate::Offload;
use crate::options::{GateReads, Granularity, OffloadOptions, Overlap};

impl GateReads {
    /// The way that is open to a run of this file: where units are not single neurons, or lie in whole matrices, there is one; without a
    /// pipeline of clusters nothing can be held until its gates are known.
    pub(crate) fn open_to(self, file: &FlashFile, options: &OffloadOptions) -> Self {
        let in_bundles = file
            .layers()
            .first()
            .is_some_and(|layout| layout.arrangement() == Arrangement::Bundles);
        let by_neuron = options.granularity == Granularity::Neuron && !options.predicted && in_bundles;
        match self {
            Self::Apart if by_neuron => Self::Apart,
            Self::Bundles if by_neuron && options.overlap == Overlap::Cluster => Self::Bundles,
            _ => Self::Joined,
        }
    }
}

impl Offload {
    /// How gate rows are read now; not what was asked for where that is not open to this run.
    pub fn gate_reads(&self) -> GateReads {
        self.ground.gates
    }

    /// The ways between which [`Self::read_gates`] can choose.
    pub fn gate_choices(&self) -> Vec<GateReads> {
        let open = |gates: &GateReads| gates.open_to(&self.ground.file, &self.ground.options) == *gates;
        GateReads::ALL.into_iter().filter(open).collect()
    }

    /// Reads gate rows in another way from the next layer on. What is kept, looked up and computed stays the same, and so do all bits.
    pub fn read_gates(&mut self, gates: GateReads) {
        self.settle();
        self.ground.options.gates = gates;
        self.ground.gates = gates.open_to(&self.ground.file, &self.ground.options);
    }
}
