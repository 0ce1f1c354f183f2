//! The slow, obvious twins of the policies: plain lists searched from end to end, written from the definitions and
//! sharing nothing with the fast ones.

mod adaptive;
mod belady;
mod plain;

use adaptive::{ArcSlow, S3FifoSlow, SieveSlow};
use belady::BeladySlow;
use cache::{END_TOKEN, PolicyKind};
use plain::{ClockSlow, LfuSlow, LruSlow, StaticHotSlow, WindowSlow};

use crate::support::situation::{Decisions, Situation};

/// What a policy does, by its twin.
pub fn decide_slow(kind: PolicyKind, situation: &Situation) -> Decisions {
    let Situation {
        slots,
        window_tokens,
        ref heat,
        ref steps,
        ..
    } = *situation;
    let slots = slots as usize;
    match kind {
        PolicyKind::Lru => run(steps, LruSlow { slots, resident: vec![] }),
        PolicyKind::Window => run(
            steps,
            WindowSlow {
                slots,
                window: window_tokens as usize,
                resident: vec![],
                tokens: vec![vec![]],
            },
        ),
        PolicyKind::StaticHot => run(
            steps,
            StaticHotSlow {
                slots,
                heat: heat.clone(),
                resident: vec![],
            },
        ),
        PolicyKind::Clock => run(steps, ClockSlow { slots, ring: vec![] }),
        PolicyKind::Lfu => run(steps, LfuSlow { slots, resident: vec![] }),
        PolicyKind::S3Fifo => run(
            steps,
            S3FifoSlow {
                slots,
                small: vec![],
                main: vec![],
                ghosts: vec![],
            },
        ),
        PolicyKind::Sieve => run(
            steps,
            SieveSlow {
                slots,
                queue: vec![],
                hand: None,
            },
        ),
        PolicyKind::Arc => run(
            steps,
            ArcSlow {
                c: slots,
                p: 0,
                t1: vec![],
                t2: vec![],
                b1: vec![],
                b2: vec![],
            },
        ),
        PolicyKind::Belady => run(
            steps,
            BeladySlow {
                slots,
                steps: steps.clone(),
                now: 0,
                resident: vec![],
            },
        ),
    }
}

pub trait Twin {
    /// Whether it was resident, and what left.
    fn request(&mut self, key: u32) -> (bool, Vec<u32>);
    fn end_token(&mut self) -> Vec<u32> {
        vec![]
    }
}

fn run(steps: &[u32], mut twin: impl Twin) -> Decisions {
    let mut decisions = Decisions::new();
    for &step in steps {
        if step == END_TOKEN {
            let evicted = twin.end_token();
            decisions.note('-', evicted);
        } else {
            let (hit, evicted) = twin.request(step);
            decisions.note(if hit { '1' } else { '0' }, evicted);
        }
    }
    decisions
}

/// Takes an element out by value; whether it was there.
pub fn take<T: PartialEq>(list: &mut Vec<T>, element: &T) -> bool {
    match list.iter().position(|other| other == element) {
        Some(place) => {
            list.remove(place);
            true
        }
        None => false,
    }
}
