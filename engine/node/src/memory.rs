//! How memory is divided between the two phases of a run from flash.

use generate::{Budget, Share};
use napi_derive::napi;

use crate::failure::{MemoryPart, parts};

/// What a phase holds beside what is always held, where FFNs are on flash.
#[napi(object)]
pub struct MemoryShare {
    /// What it needs.
    pub parts: Vec<MemoryPart>,
    /// Bytes of the hot segment.
    pub hot: f64,
    /// Bytes of the cold segment.
    pub cold: f64,
}

/// The two phases of a run from flash.
#[napi(object)]
pub struct MemoryPhases {
    /// While a prompt is read.
    pub prefill: MemoryShare,
    /// While tokens are generated.
    pub decode: MemoryShare,
}

/// Those of FFNs on flash: in memory nothing is divided.
pub(crate) fn phases(of: &Budget) -> Option<MemoryPhases> {
    let share = |of: &Share| MemoryShare {
        parts: parts(&of.parts),
        hot: of.hot as f64,
        cold: of.cold as f64,
    };
    (!of.decode.parts.is_empty()).then(|| MemoryPhases {
        prefill: share(&of.prefill),
        decode: share(&of.decode),
    })
}
