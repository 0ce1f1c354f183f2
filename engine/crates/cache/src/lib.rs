//! The neuron cache of the engine: which neurons stay in memory, and the memory itself.
//!
//! Two halves that meet in [`Segment`]:
//! - eviction policies over dense `u32` keys ([`Policy`], one file each in `policies/`), with [`replay()`] for whole
//!   traces and [`MissCurve`] for LRU of every size at once. They hold no bytes, and decide exactly as the simulator's
//!   policies do: shared vectors in `test/vectors` are replayed by both sides;
//! - [`SegmentedCache`]: a fixed segment and any number of evicting ones (hot clusters, cold neurons) in one mapping
//!   under one budget, with slots that direct reads can land in and memory that really goes back when segments shrink.
#![warn(missing_docs)]

#[cfg(not(any(target_os = "linux", target_os = "android")))]
compile_error!("the neuron cache maps memory with the constants of Linux and Android; other systems need theirs in memory.rs");

mod answers;
mod error;
mod kind;
mod memory;
mod miss_curve;
mod policies;
mod policy;
mod prefetch;
mod replay;
mod segment;
mod segmented;
mod use_log;
mod use_logs;

pub use answers::{Lookup, Reserve, SegmentCounts, Slot};
pub use error::CacheError;
pub use kind::{MOST_KEYS, PolicyKind, Setting};
pub use memory::{PAGE_BYTES, return_freed_memory};
pub use miss_curve::MissCurve;
pub use policies::{Arc, Belady, Clock, Lfu, Lru, S3Fifo, Sieve, StaticHot, Window};
pub use policy::{Admission, END_TOKEN, Held, Holding, Outcome, Policy};
pub use replay::{Replayed, replay, replay_kind, replay_told};
pub use segment::Segment;
pub use segmented::{FixedBlock, SegmentShape, SegmentedCache, Shape};
