//! What was measured as a device profile, and as the tables behind it.

mod device;
mod facts;
mod json;
mod storage;
mod tables;

pub use device::profile;
pub use json::Json;
