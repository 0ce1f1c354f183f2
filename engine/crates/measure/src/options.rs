//! What to measure, and how thoroughly.

use std::path::PathBuf;
use std::time::Duration;

use crate::samples::Effort;

/// A part of the measurement that can be made by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Rates of the engine's kernels, and memory bandwidth, by core.
    Kernels,
    /// Costs of threads: start, dispatch, barrier.
    Threads,
    /// Costs of memory: page faults, taking a neuron into the cache.
    Memory,
    /// Reads from flash.
    Flash,
}

impl Part {
    /// All, in the order in which they are measured.
    pub const ALL: [Self; 4] = [Self::Kernels, Self::Threads, Self::Memory, Self::Flash];

    /// The name that people type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernels => "kernels",
            Self::Threads => "threads",
            Self::Memory => "memory",
            Self::Flash => "flash",
        }
    }

    /// The part of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// How thoroughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Under half a minute: the cells that a profile needs.
    Quick,
    /// A few minutes: whole tables.
    Full,
    /// The fewest cells, a few milliseconds each: what tests of the form can afford. Its numbers say nothing.
    Trial,
}

impl Depth {
    /// The name that people type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
            Self::Trial => "trial",
        }
    }

    /// Turns of a cell of kernels, threads and memory.
    pub(crate) fn effort(self) -> Effort {
        let (millis, turns) = match self {
            Self::Quick => (100, 7),
            Self::Full => (600, 15),
            Self::Trial => (1, 2),
        };
        Effort {
            cell: Duration::from_millis(millis),
            turns,
        }
    }

    /// Turns of a cell of reads, where a turn is a stretch of reads under load.
    pub(crate) fn reading(self) -> Effort {
        let (millis, turns) = match self {
            Self::Quick => (120, 8),
            Self::Full => (400, 10),
            Self::Trial => (4, 2),
        };
        Effort {
            cell: Duration::from_millis(millis),
            turns,
        }
    }

    /// Bytes of the scratch file, where the caller names none: the widest range of addresses that reads are spread over.
    pub(crate) fn scratch_bytes(self) -> u64 {
        match self {
            Self::Quick => 512 << 20,
            Self::Full => 4 << 30,
            Self::Trial => 4 << 20,
        }
    }
}

/// The choices for one measurement.
#[derive(Clone, Debug)]
pub struct Options {
    /// How thoroughly.
    pub depth: Depth,
    /// Folder of the scratch file: on the storage that models will be read from.
    pub folder: PathBuf,
    /// Bytes of the scratch file, a multiple of 2 MiB; absent: what the depth asks for.
    pub scratch_bytes: Option<u64>,
    /// One part, or all.
    pub only: Option<Part>,
    /// Name of the profile.
    pub name: String,
    /// The command that was typed: part of every number's source.
    pub command: String,
}

impl Options {
    /// All parts, with the scratch file in `folder`, as the profile `this-host`.
    pub fn new(depth: Depth, folder: PathBuf) -> Self {
        Self {
            depth,
            folder,
            scratch_bytes: None,
            only: None,
            name: "this-host".to_owned(),
            command: "neuronlab-measure".to_owned(),
        }
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}
