//! What was measured, as rows.

use neuron::Format;

use crate::host::Host;
use crate::samples::Spread;
use crate::scratch::Device;
use crate::topology::Topology;

/// What is computed, or what memory does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Reading memory: the roof.
    Read,
    /// Copying rows out of pages into slots of the cache.
    Copy,
    /// A matrix times one vector: attention's projections, the head, gates of whole clusters.
    Dense,
    /// Gate rows of the neurons that a predictor names, in slots that lie anywhere.
    Gather,
    /// Up and down of the neurons that fire, in slots that lie anywhere, into the sum of their block.
    UpDown,
    /// Attention of one token over its context, keys and values in F16.
    Attention,
    /// RMS norm and quantisation of one vector, which every layer does twice.
    Norm,
    /// A matrix times many vectors.
    Product,
}

impl Kernel {
    /// The name in profiles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Copy => "copy",
            Self::Dense => "dense",
            Self::Gather => "gather",
            Self::UpDown => "up-down",
            Self::Attention => "attention",
            Self::Norm => "norm",
            Self::Product => "product",
        }
    }
}

/// A cell of the table of kernels: what is timed.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelCell {
    /// What.
    pub kernel: Kernel,
    /// Format of the weights; of up, where down has another.
    pub format: Format,
    /// Cores, one thread each.
    pub cores: Vec<usize>,
    /// Rows: neurons of the layer in the sparse kernels, positions in attention.
    pub rows: usize,
    /// Weights of a row.
    pub cols: usize,
    /// Vectors.
    pub batch: usize,
    /// Share of the rows that take part.
    pub share: f64,
}

/// A row of the table of kernels.
#[derive(Clone, Debug)]
pub struct KernelRow {
    /// What was timed.
    pub cell: KernelCell,
    /// Bytes of weights (keys and values, vectors) a nanosecond; operations a nanosecond in products, two for a weight and a vector.
    pub rate: Spread,
}

/// A cell of the flash curve.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadCell {
    /// io_uring, driven by the thread that wants the bytes; else threads with one `pread` each.
    pub uring: bool,
    /// Reads in flight: the ring's depth, or lanes.
    pub in_flight: u32,
    /// Past the page cache.
    pub direct: bool,
    /// Anywhere in the range, or one after the other.
    pub random: bool,
    /// Bytes of a read.
    pub block: u64,
    /// Bytes of the range of addresses.
    pub range: u64,
    /// The core that issues them.
    pub core: usize,
}

/// A row of the flash curve.
#[derive(Clone, Debug)]
pub struct ReadRow {
    /// What was read.
    pub cell: ReadCell,
    /// Bytes a nanosecond.
    pub rate: Spread,
    /// Nanoseconds that the cores worked for a read, of this process's threads together.
    pub cpu: Spread,
    /// Nanoseconds from submitting a read to its end.
    pub latency: Spread,
}

/// A cost that is neither a kernel nor a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Starting a thread and waiting for its end.
    ThreadStart,
    /// Handing nothing to all threads of the pool and waiting for them, while they spin.
    Dispatch,
    /// The same after they went to sleep.
    DispatchParked,
    /// Two threads meeting in the middle of a dispatch.
    Barrier,
    /// Taking a neuron into a full cache: look-up, eviction, copy of its rows, bookkeeping.
    Insert,
    /// Finding a neuron that is in the cache.
    Hit,
    /// The first touch of a 4 KiB page of memory.
    FaultMinor,
    /// The first touch of a 2 MiB page of memory.
    FaultHuge,
    /// A touch of a page of a mapped file that the page cache holds, per window of read-ahead.
    FaultMapped,
    /// A touch of a page of a mapped file that the device has to bring.
    FaultMajor,
}

impl Cost {
    /// The name in profiles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThreadStart => "thread-start",
            Self::Dispatch => "dispatch",
            Self::DispatchParked => "dispatch-parked",
            Self::Barrier => "barrier",
            Self::Insert => "insert",
            Self::Hit => "hit",
            Self::FaultMinor => "fault-minor",
            Self::FaultHuge => "fault-huge",
            Self::FaultMapped => "fault-mapped",
            Self::FaultMajor => "fault-major",
        }
    }
}

/// A measured cost in nanoseconds.
#[derive(Clone, Debug)]
pub struct CostRow {
    /// What.
    pub cost: Cost,
    /// Cores that took part.
    pub cores: Vec<usize>,
    /// Nanoseconds.
    pub time: Spread,
}

/// Numbers about flash that are no curve.
#[derive(Clone, Debug)]
pub struct FlashFacts {
    /// What the system says of the device.
    pub device: Device,
    /// Whether reads bypassed the page cache.
    pub direct: bool,
    /// Whether io_uring served the reads that a profile's curve is made of; else threads with one `pread` each.
    pub uring: bool,
    /// Its depth, or how many threads.
    pub in_flight: u32,
    /// Bytes of the scratch file.
    pub bytes: u64,
    /// 4 KiB reads of all cores at once, each with a queue of its own, as a ratio of one core's. None with a single core.
    pub together: Option<Spread>,
    /// How many cores that were.
    pub submitters: usize,
    /// Time of reading pages that lie behind ones just read, as a ratio of others' time.
    pub second_phase: Spread,
}

/// Everything that was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The machine.
    pub host: Host,
    /// Its cores.
    pub topology: Topology,
    /// Command, date and host: the source of every number.
    pub source: String,
    /// The kernels' backend.
    pub backend: &'static str,
    /// Clock of the first core of each cluster in GHz, before and after.
    pub clocks: Vec<(f64, f64)>,
    /// Rates of kernels.
    pub kernels: Vec<KernelRow>,
    /// The flash curve.
    pub reads: Vec<ReadRow>,
    /// Costs.
    pub costs: Vec<CostRow>,
    /// About flash, where it was measured.
    pub flash: Option<FlashFacts>,
    /// What disturbed it, and what had to be done otherwise than meant.
    pub notes: Vec<String>,
}
