//! One file per policy. To add one: a file here, a word in [`crate::PolicyKind`], its slow twin in `tests/slow`, and the
//! same policy in `sim/policies/eviction`; property tests and shared vectors then run on it by themselves.

mod arc;
mod belady;
mod clock;
mod lfu;
mod lru;
mod rank_bits;
mod s3_fifo;
mod sieve;
mod static_hot;
mod window;

pub use arc::Arc;
pub use belady::Belady;
pub use clock::Clock;
pub use lfu::Lfu;
pub use lru::Lru;
pub use s3_fifo::S3Fifo;
pub use sieve::Sieve;
pub use static_hot::StaticHot;
pub use window::Window;
