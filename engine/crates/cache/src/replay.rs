use crate::error::CacheError;
use crate::kind::{PolicyKind, PolicyUser, Setting, check_keys};
use crate::policy::Policy;

/// What a replay counted. `hits + misses` is the number of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Requests for something resident.
    pub hits: u64,
    /// All other requests.
    pub misses: u64,
    /// Things that left, at the end of a token or to make room.
    pub evictions: u64,
    /// Misses after which the policy did not take the thing in (or had no slot at all).
    pub declined: u64,
}

/// Sends a trace of keys below `keys` (with [`crate::END_TOKEN`] between tokens, which only `window` needs) through a policy made for
/// as many keys, and counts. The policy keeps its state: a second call goes on where the first ended.
///
/// Upcoming keys are known here, as they are in the engine once the predictor has spoken, so their entries are fetched
/// towards the processor ahead of their turn; decisions do not depend on it.
pub fn replay<P: Policy + ?Sized>(policy: &mut P, keys: u32, trace: &[u32]) -> Result<Replayed, CacheError> {
    check_keys(trace, keys)?;
    Ok(policy.replay(trace))
}

/// Replays a trace through a fresh policy of this kind, in a loop compiled for it. The trace is also what Belady foresees.
pub fn replay_kind(kind: PolicyKind, setting: &Setting<'_>, trace: &[u32]) -> Result<Replayed, CacheError> {
    struct Run<'a>(u32, &'a [u32]);
    impl PolicyUser for Run<'_> {
        type Output = Result<Replayed, CacheError>;
        fn take<P: Policy + 'static>(self, mut policy: P) -> Self::Output {
            replay(&mut policy, self.0, self.1)
        }
    }
    if trace.is_empty() {
        return Ok(Replayed::default());
    }
    kind.with(
        &Setting {
            future: trace,
            ..*setting
        },
        Run(setting.keys, trace),
    )?
}
