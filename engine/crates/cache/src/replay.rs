use std::ops::{AddAssign, ControlFlow};

use crate::error::CacheError;
use crate::kind::{PolicyKind, PolicyUser, Setting, check_keys};
use crate::policy::{Outcome, Policy};

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

impl AddAssign for Replayed {
    fn add_assign(&mut self, more: Self) {
        self.hits += more.hits;
        self.misses += more.misses;
        self.evictions += more.evictions;
        self.declined += more.declined;
    }
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

/// Places of a trace between two words to who waits: some milliseconds.
const PIECE: usize = 1 << 18;

/// Replays a trace through a fresh policy of this kind piece by piece, for those who want to hear of it, or to end it. `told` hears how many places
/// of the trace are done: 0 once the policy is made, before the first request, and all in the end; with `Break` the replay ends there, and
/// there is nothing to report. What becomes of each place goes to `outcomes`, where that is given: as long as the trace.
///
/// The whole trace is checked before anything is made of it.
pub fn replay_told(
    kind: PolicyKind,
    setting: &Setting<'_>,
    trace: &[u32],
    mut outcomes: Option<&mut [Outcome]>,
    told: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Replayed>, CacheError> {
    check_keys(trace, setting.keys)?;
    let mut counts = Replayed::default();
    if trace.is_empty() {
        return Ok(told(0).is_continue().then_some(counts));
    }
    let mut policy = kind.build(&Setting {
        future: trace,
        ..*setting
    })?;
    if told(0).is_break() {
        return Ok(None);
    }
    for (number, piece) in trace.chunks(PIECE).enumerate() {
        let from = number * PIECE;
        let noted = outcomes.as_deref_mut().and_then(|all| all.get_mut(from..from + piece.len()));
        counts += match noted {
            Some(noted) => policy.replay_noting(piece, noted),
            None => policy.replay(piece),
        };
        if told(from + piece.len()).is_break() {
            return Ok(None);
        }
    }
    Ok(Some(counts))
}
