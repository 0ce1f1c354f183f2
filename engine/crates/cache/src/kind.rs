use std::fmt;
use std::str::FromStr;

use crate::error::CacheError;
use crate::policies::{Arc, Belady, Clock, Lfu, Lru, S3Fifo, Sieve, StaticHot, Window};
use crate::policy::{END_TOKEN, Policy};

/// Eviction policies by the names that people type and plans carry; the simulator's registry has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyKind {
    /// [`Lru`].
    Lru,
    /// [`Window`].
    Window,
    /// [`StaticHot`].
    StaticHot,
    /// [`Clock`].
    Clock,
    /// [`Lfu`].
    Lfu,
    /// [`S3Fifo`].
    S3Fifo,
    /// [`Sieve`].
    Sieve,
    /// [`Arc`].
    Arc,
    /// [`Belady`].
    Belady,
}

/// What policies are made from. Each reads only its part; the rest may be empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting<'a> {
    /// Keys are below this.
    pub keys: u32,
    /// Things that may be resident.
    pub slots: u32,
    /// How often each key is wanted, for `static-hot`.
    pub heat: &'a [f64],
    /// Tokens that `window` covers.
    pub window_tokens: u32,
    /// The requests to come, with [`END_TOKEN`] between tokens or without, for `belady`.
    pub future: &'a [u32],
}

/// The most keys that a policy takes: logs of uses have up to twice as many entries as keys, and some more, numbered with 32 bits; ranks
/// have a bit for a mark.
pub const MOST_KEYS: u32 = (1 << 31) - (1 << 12);

impl PolicyKind {
    /// All of them.
    pub const ALL: [PolicyKind; 9] = [
        PolicyKind::Lru,
        PolicyKind::Window,
        PolicyKind::StaticHot,
        PolicyKind::Clock,
        PolicyKind::Lfu,
        PolicyKind::S3Fifo,
        PolicyKind::Sieve,
        PolicyKind::Arc,
        PolicyKind::Belady,
    ];

    /// The name people type.
    pub const fn name(self) -> &'static str {
        match self {
            PolicyKind::Lru => "lru",
            PolicyKind::Window => "window",
            PolicyKind::StaticHot => "static-hot",
            PolicyKind::Clock => "clock",
            PolicyKind::Lfu => "lfu",
            PolicyKind::S3Fifo => "s3-fifo",
            PolicyKind::Sieve => "sieve",
            PolicyKind::Arc => "arc",
            PolicyKind::Belady => "belady",
        }
    }

    /// Whether more slots never miss more, whatever the requests (Mattson's stack property).
    pub const fn more_never_misses_more(self) -> bool {
        matches!(
            self,
            PolicyKind::Lru | PolicyKind::Window | PolicyKind::StaticHot | PolicyKind::Belady
        )
    }

    /// Bytes that this policy's tables never exceed for keys below `keys` and a trace of `requests`, however many slots it has: for those who
    /// ask first whether there is room.
    pub fn most_bookkeeping_bytes(self, keys: u64, requests: u64) -> u64 {
        // S3-FIFO has the most for a key: two queues of four bytes, the ghosts' log of 16, a byte; ARC and LFU have 24.
        const OF_A_KEY: u64 = 32;
        const AT_ALL: u64 = 1 << 17;
        let more = match self {
            // For each request itself, the rank of its next use, and a bit.
            PolicyKind::Belady => 9 * requests,
            // Buckets: things with k different counts were asked for k(k+1)/2 times at least.
            PolicyKind::Lfu => 256 * (2 * requests).isqrt(),
            _ => 0,
        };
        OF_A_KEY * keys + more + AT_ALL
    }

    /// Whether there are too many keys, and whether there is the heat that this policy reads: what [`PolicyKind::build`] checks besides the
    /// requests to come, for those who make several policies and do not want to find out at the last.
    pub fn check(self, setting: &Setting<'_>) -> Result<(), CacheError> {
        let Setting { keys, heat, .. } = *setting;
        if keys > MOST_KEYS {
            return Err(CacheError::TooManyKeys {
                keys: keys as usize,
                most: MOST_KEYS as usize,
            });
        }
        if self != PolicyKind::StaticHot {
            return Ok(());
        }
        if heat.len() != keys as usize {
            return Err(CacheError::HeatCount { keys, heats: heat.len() });
        }
        match heat.iter().position(|heat| !heat.is_finite()) {
            Some(key) => Err(CacheError::HeatNotFinite { key }),
            None => Ok(()),
        }
    }

    /// A policy with nothing resident. Errors where the setting lacks what this policy reads.
    pub fn build(self, setting: &Setting<'_>) -> Result<Box<dyn Policy>, CacheError> {
        self.with(setting, Boxed)
    }

    /// Makes the policy and hands it to `user` as its own type, so that a loop over it is compiled for it.
    pub(crate) fn with<U: PolicyUser>(self, setting: &Setting<'_>, user: U) -> Result<U::Output, CacheError> {
        let Setting {
            keys,
            slots,
            heat,
            window_tokens,
            future,
        } = *setting;
        self.check(setting)?;
        Ok(match self {
            PolicyKind::Lru => user.take(Lru::new(keys, slots)),
            PolicyKind::Window => user.take(Window::new(keys, slots, window_tokens)),
            PolicyKind::StaticHot => user.take(StaticHot::new(heat, slots)),
            PolicyKind::Clock => user.take(Clock::new(keys, slots)),
            PolicyKind::Lfu => user.take(Lfu::new(keys, slots)),
            PolicyKind::S3Fifo => user.take(S3Fifo::new(keys, slots)),
            PolicyKind::Sieve => user.take(Sieve::new(keys, slots)),
            PolicyKind::Arc => user.take(Arc::new(keys, slots)),
            PolicyKind::Belady => {
                if future.is_empty() {
                    return Err(CacheError::NoFuture);
                }
                check_keys(future, keys)?;
                if future.len() + keys as usize >= Belady::MOST {
                    return Err(CacheError::TooManyKeys {
                        keys: future.len() + keys as usize,
                        most: Belady::MOST - 1,
                    });
                }
                user.take(Belady::new(keys, slots, future))
            }
        })
    }
}

/// What is done with a policy of any type.
pub(crate) trait PolicyUser {
    type Output;
    fn take<P: Policy + 'static>(self, policy: P) -> Self::Output;
}

struct Boxed;

impl PolicyUser for Boxed {
    type Output = Box<dyn Policy>;
    fn take<P: Policy + 'static>(self, policy: P) -> Box<dyn Policy> {
        Box::new(policy)
    }
}

/// Whether all keys of a trace are below `keys`.
pub(crate) fn check_keys(trace: &[u32], keys: u32) -> Result<(), CacheError> {
    let is_good = |key: u32| key < keys || key == END_TOKEN;
    // Without an early end the compiler checks many at once; the place is looked for only when there is one.
    if trace.iter().fold(true, |good, &key| good & is_good(key)) {
        return Ok(());
    }
    match trace.iter().position(|&key| !is_good(key)) {
        Some(place) => Err(CacheError::KeyOutOfRange {
            place,
            key: trace[place],
            keys,
        }),
        None => Ok(()),
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PolicyKind {
    type Err = CacheError;
    fn from_str(name: &str) -> Result<Self, CacheError> {
        PolicyKind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| CacheError::UnknownPolicy { name: name.to_owned() })
    }
}
