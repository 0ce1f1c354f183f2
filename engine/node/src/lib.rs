//! The engine for Node: registers functions and turns arguments and results into plain values. No logic of its own.
//!
//! Nothing is thrown for what a caller can mend: every call that lasts resolves to an object with `failure` or `report`. A panic
//! becomes a failure of kind `fault`. Work runs on libuv's worker threads; `engine/index.ts` is the only caller.
#![expect(clippy::result_large_err, reason = "a failure is made at most once a call")]

#[macro_use]
mod task;

mod adapting;
mod bench;
mod cancel;
mod failure;
mod generate;
mod memory;
mod pack;
mod perplexity;
mod planned;
mod probe;
mod record;
mod replay;
mod request;
mod shape;
mod spent;
mod synth;
mod timeline;
mod train;
mod verify;

use napi_derive::napi;

/// The name of the kernels that this machine would compute with, and what of memory and cores it has.
#[napi(object)]
pub struct About {
    /// Of this module; `engine/index.ts` wants the same.
    pub version: u32,
    /// Such as `avx512`.
    pub kernels: String,
}

/// Raised with every change of what crosses the border.
const VERSION: u32 = 7;

/// What this module is.
#[napi]
pub fn about() -> About {
    About {
        version: VERSION,
        kernels: ::generate::kernels().to_owned(),
    }
}
