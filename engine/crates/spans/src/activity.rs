//! What a span can be of.

/// Where time goes. The names are those of the simulator (`sim/domain/run.ts`), of which this is the part that can be seen here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activity {
    /// Attention, with the norms and the router around it.
    Attention,
    /// Pred: which neurons will be active.
    Predictor,
    /// GC: gate rows of a neuron cluster.
    Gate,
    /// UDC: up and down of the neurons that fired.
    UpDown,
    /// An FFN of which all neurons are computed together.
    DenseFfn,
    /// Logits.
    Head,
    /// Between two stages of a thread: look-ups, what arrived to its place, what is missing to the reader.
    Cache,
    /// GIO: a read of gate rows.
    ReadGate,
    /// UDIO: a read of up and down.
    ReadUpDown,
    /// A read of matrices that holds more than what was asked for.
    ReadRows,
    /// A sequential read of prefill.
    Stream,
    /// Nothing to compute until a read ends, or until another thread is done.
    Wait,
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Attention,
        Self::Predictor,
        Self::Gate,
        Self::UpDown,
        Self::DenseFfn,
        Self::Head,
        Self::Cache,
        Self::ReadGate,
        Self::ReadUpDown,
        Self::ReadRows,
        Self::Stream,
        Self::Wait,
    ];

    /// The simulator's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::Predictor => "predictor",
            Self::Gate => "gate",
            Self::UpDown => "up+down",
            Self::DenseFfn => "dense FFN",
            Self::Head => "head",
            Self::Cache => "cache",
            Self::ReadGate => "read gate",
            Self::ReadUpDown => "read up+down",
            Self::ReadRows => "read rows",
            Self::Stream => "stream",
            Self::Wait => "wait",
        }
    }

    /// Whether it is a read; all others but [`Self::Wait`] are computing.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::ReadGate | Self::ReadUpDown | Self::ReadRows | Self::Stream)
    }

    /// Whether a compute thread is at work in it.
    pub const fn is_compute(self) -> bool {
        !self.is_read() && !matches!(self, Self::Wait)
    }
}
