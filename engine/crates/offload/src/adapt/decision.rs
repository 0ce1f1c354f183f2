//! What adapting measures and decides: numbers, and no behaviour. Times in nanoseconds, sizes in bytes, all a token unless it says
//! otherwise. The same as `sim/domain/adaptation.ts`.

use crate::options::GateReads;

/// What a storage takes for a command, and for a byte on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Nanoseconds of a command.
    pub command_ns: f64,
    /// Nanoseconds of a byte.
    pub byte_ns: f64,
}

/// Reads, their bytes, and the compute threads' time around them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Reads.
    pub reads: f64,
    /// Their bytes.
    pub bytes: f64,
    /// Wall time that all compute threads together need beside them.
    pub cpu_ns: f64,
}

/// What a run's decisions stand on.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptSetting {
    /// Tokens of a window: what is measured over so many is judged at once.
    pub every: u32,
    /// What the profile says of the storage.
    pub rates: Rates,
    /// The ways between which a run can choose.
    pub choices: Vec<GateReads>,
    /// What each way, in the order of [`GateReads::ALL`], reads for one cluster whose gate rows are missing.
    pub gates: [Work; 3],
    /// What a unit of up and down takes that is read by itself.
    pub unit: Work,
}

/// What was counted over the tokens of a window, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// How many.
    pub tokens: f64,
    /// All of their time.
    pub wall_ns: f64,
    /// Of the mean compute thread: waiting for reads, or for other threads.
    pub waited_ns: f64,
    /// With a read under way.
    pub reading_ns: f64,
    /// Reads given to the system.
    pub reads: f64,
    /// Their bytes.
    pub bytes: f64,
    /// Clusters of gate rows and units of up and down that were looked for.
    pub look_ups: f64,
    /// Clusters whose gate rows were missing.
    pub clusters: f64,
    /// Units that were missing.
    pub units: f64,
    /// Of these, those in such clusters.
    pub beside: f64,
}

/// What came of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another way is better whatever made the storage slow.
    Changed,
    /// Another way is better if it was one thing, and worse if it was another.
    Tried,
    /// Such a change turned out well.
    Kept,
    /// It did not.
    Returned,
    /// The rates were wrong, and nothing is to be gained.
    Corrected,
}

impl Verdict {
    /// The name that records carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Tried => "tried",
            Self::Kept => "kept",
            Self::Returned => "returned",
            Self::Corrected => "corrected",
        }
    }
}

/// What was not as predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Reads.
    Storage,
    /// Computing.
    Kernels,
    /// Both.
    Both,
    /// Neither: a change is judged.
    Trial,
}

impl Cause {
    /// The name that records carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Kernels => "kernels",
            Self::Both => "both",
            Self::Trial => "trial",
        }
    }
}

/// A window's means.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// A token's time.
    pub wall_ns: f64,
    /// Of it, what the mean compute thread did not wait.
    pub compute_ns: f64,
    /// With a read under way.
    pub reading_ns: f64,
    /// Share of the time that the mean compute thread waited.
    pub waited_share: f64,
    /// Reads.
    pub reads: f64,
    /// Their bytes.
    pub bytes: f64,
    /// Reads a second while any was under way.
    pub reads_per_sec: f64,
    /// Bytes a second, likewise.
    pub bytes_per_sec: f64,
    /// Share of what was looked for that was in memory.
    pub hit_rate: f64,
}

/// A decision, and what it was made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Decoded before it: it holds from this token on.
    pub token: u64,
    /// What came of it.
    pub verdict: Verdict,
    /// What was not as predicted.
    pub cause: Cause,
    /// The window.
    pub measured: Measured,
    /// Reading, by the rates as they were.
    pub predicted_reading_ns: f64,
    /// Computing, by the windows before.
    pub predicted_compute_ns: Option<f64>,
    /// The rates before and after.
    pub rates: [Rates; 2],
    /// How gate rows are read, before and after.
    pub gates: [GateReads; 2],
    /// Of the token's time, what the way after this saves: at worst and at best, or as measured. None where nothing else was open.
    pub saves: Option<[f64; 2]>,
}
