//! The packed flash file and everything that reads it.
//!
//! - [`pack`] turns a GGUF file into the layout: gate, up and down of a neuron next to each other in whole 4 KiB pages
//!   (a bundle), an index in closed form, a checksum for every page, written atomically.
//! - [`FlashFile`] opens and checks a packed file; what it says about offsets is validated, never trusted.
//! - [`Reader`] brings targets of five granularities (tensor, expert, matrix, cluster, neuron) into aligned buffers:
//!   direct reads through lanes of `pread` or through io_uring, chosen by the plan; a fallback is recorded.
//! - [`Stream`] reads ahead in order, for prefill. [`Shaper`] makes this disk behave like a phone's flash curve.
//!
//! How down is stored ([`DownChoice`]) decides whether reading and computing are sparse, and what they are exact to. For a
//! Q4_0 source, whose down blocks run along the neurons:
//!
//! | down | bits a weight | granule | numbers | error relative to the weights |
//! |---|---|---|---|---|
//! | `Exact` | 4.5 | 32 neurons | the file's, bit for bit | 0 |
//! | `TransposedQ8` (`Auto`) | 8.5 | 1 neuron | near-exact | 0.5 % |
//! | `TransposedF16` | 16 | 1 neuron | rounding of scale x number | 0.02 % |
//! | `TransposedF32` | 32 | 1 neuron | the file's, each as a number | 0 |
//! | `TransposedQ4` | 4.5 | 1 neuron | another model | 7.7 % |
//!
//! (Root mean square, normally distributed weights; quantising them to Q4_0 in the first place costs 8.6 %. The figures are
//! printed by the test `requantising_to_q8_adds_little_...`.) At 10 % activity 97 % of all groups of 32 hold an active neuron,
//! so `Exact` is for comparison with other engines on the same file and `Auto` is what is fast. A file that was requantised
//! says so ([`FlashFile::is_requantised`]), and outputs must.
//!
//! May import: std, crate `gguf`. To add a read backend: one file in `read/`, one variant in [`BackendChoice`]; the
//! contract tests in `tests/` run over all of them.

mod checksum;
mod curve;
mod error;
mod file;
mod format;
mod head_only;
mod header;
mod layout;
mod order;
mod pack;
mod page_sum;
mod read;
mod shaper;
mod sys;
mod tables;
mod target;
mod verify;

pub use checksum::xxh64;
pub use curve::{FlashCurve, RandomPoint, SequentialPoint};
pub use error::FlashError;
pub use file::{DenseTensor, FlashFile};
pub use format::WeightFormat;
pub use header::{MAGIC, Section, VERSION};
pub use layout::{Arrangement, DownForm, LayerLayout, LayerShape, Matrix, PAGE, Span, TILE, page_ceil, page_floor};
pub use order::{NeuronOrder, whole_tiles};
pub use pack::{DownChoice, GroupCandidate, GroupChoice, PackOptions, PackProgress, PackReport, Phase, Requantisation, pack};
pub use page_sum::PageSums;
pub use read::{
    BackendChoice, BackendUsed, BufferPool, Completion, Data, Disk, Fault, FaultyDisk, FileDisk, FlashReader, Histogram,
    PageDone, PageRead, PooledBuffer, Reader, ReaderOptions, Statistics, Stream,
};
pub use shaper::{Shaper, ShaperReport, Slowdown};
pub use sys::{O_DIRECT, O_TMPFILE, file_size_limit, reserve};
pub use target::{Part, Request, Target};
pub use verify::VerifyReport;
