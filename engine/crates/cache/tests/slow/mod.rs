//! The slow, obvious twins of the policies: plain lists searched from end to end, written from the definitions and
//! sharing nothing with the fast ones.

use cache::{END_TOKEN, PolicyKind};

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

trait Twin {
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
fn take<T: PartialEq>(list: &mut Vec<T>, element: &T) -> bool {
    match list.iter().position(|other| other == element) {
        Some(place) => {
            list.remove(place);
            true
        }
        None => false,
    }
}

/// Oldest first.
struct LruSlow {
    slots: usize,
    resident: Vec<u32>,
}

impl Twin for LruSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        let hit = take(&mut self.resident, &key);
        self.resident.push(key);
        let leaves = self.resident.len() > self.slots;
        let left = if leaves { vec![self.resident.remove(0)] } else { vec![] };
        // With no slot at all the newcomer itself is what does not fit.
        (hit, left.into_iter().filter(|&left| left != key).collect())
    }
}

struct WindowSlow {
    slots: usize,
    window: usize,
    resident: Vec<u32>,
    tokens: Vec<Vec<u32>>,
}

impl Twin for WindowSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        self.tokens.last_mut().unwrap().push(key);
        let mut lru = LruSlow {
            slots: self.slots,
            resident: std::mem::take(&mut self.resident),
        };
        let answer = lru.request(key);
        self.resident = lru.resident;
        answer
    }

    fn end_token(&mut self) -> Vec<u32> {
        let recent = &self.tokens[self.tokens.len().saturating_sub(self.window)..];
        let (kept, dropped) = self
            .resident
            .iter()
            .partition(|key| recent.iter().any(|token| token.contains(key)));
        self.resident = kept;
        self.tokens.push(vec![]);
        dropped
    }
}

struct StaticHotSlow {
    slots: usize,
    heat: Vec<f64>,
    resident: Vec<u32>,
}

impl Twin for StaticHotSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        let hit = self.resident.contains(&key);
        let own = self.heat[key as usize];
        let hotter = self
            .heat
            .iter()
            .enumerate()
            .filter(|&(other, &heat)| heat > own || (heat == own && other < key as usize))
            .count();
        if !hit && hotter < self.slots {
            self.resident.push(key);
        }
        (hit, vec![])
    }
}

/// The hand is always at the front.
struct ClockSlow {
    slots: usize,
    ring: Vec<(u32, bool)>,
}

impl Twin for ClockSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        if let Some(entry) = self.ring.iter_mut().find(|entry| entry.0 == key) {
            entry.1 = true;
            return (true, vec![]);
        }
        if self.slots == 0 {
            return (false, vec![]);
        }
        let mut left = vec![];
        while self.ring.len() == self.slots {
            let (front, used) = self.ring.remove(0);
            if used {
                self.ring.push((front, false));
            } else {
                left.push(front);
            }
        }
        self.ring.push((key, false));
        (false, left)
    }
}

/// (key, uses), in order of last use, oldest first.
struct LfuSlow {
    slots: usize,
    resident: Vec<(u32, u32)>,
}

impl Twin for LfuSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        if let Some(place) = self.resident.iter().position(|entry| entry.0 == key) {
            let (_, uses) = self.resident.remove(place);
            self.resident.push((key, uses + 1));
            return (true, vec![]);
        }
        if self.slots == 0 {
            return (false, vec![]);
        }
        let mut left = vec![];
        if self.resident.len() == self.slots {
            // The first of the least: `min_by_key` keeps the first among equals.
            let place = (0..self.slots).min_by_key(|&place| self.resident[place].1).unwrap();
            left.push(self.resident.remove(place).0);
        }
        self.resident.push((key, 1));
        (false, left)
    }
}

/// (key, uses), tail first.
struct S3FifoSlow {
    slots: usize,
    small: Vec<(u32, u32)>,
    main: Vec<(u32, u32)>,
    ghosts: Vec<u32>,
}

impl S3FifoSlow {
    /// The paper's evictM.
    fn evict_main(&mut self) -> u32 {
        loop {
            let (key, uses) = self.main.remove(0);
            if uses == 0 {
                return key;
            }
            self.main.push((key, uses - 1));
        }
    }

    /// The paper's evictS, which is over as soon as one has left, from either queue.
    fn evict_small(&mut self, share: usize) -> u32 {
        while !self.small.is_empty() {
            let (key, uses) = self.small.remove(0);
            if uses <= 1 {
                self.ghosts.push(key);
                if self.ghosts.len() > self.slots - share {
                    self.ghosts.remove(0);
                }
                return key;
            }
            self.main.push((key, 0));
            if self.main.len() > self.slots - share {
                return self.evict_main();
            }
        }
        self.evict_main()
    }
}

impl Twin for S3FifoSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        if let Some(entry) = self.small.iter_mut().chain(&mut self.main).find(|entry| entry.0 == key) {
            entry.1 = (entry.1 + 1).min(3);
            return (true, vec![]);
        }
        if self.slots == 0 {
            return (false, vec![]);
        }
        let share = std::cmp::max(1, self.slots / 10);
        let ghost = take(&mut self.ghosts, &key);
        let mut left = vec![];
        if self.small.len() + self.main.len() == self.slots {
            left.push(if self.small.len() >= share {
                self.evict_small(share)
            } else {
                self.evict_main()
            });
        }
        if ghost { &mut self.main } else { &mut self.small }.push((key, 0));
        (false, left)
    }
}

/// (key, visited), newest first, with the hand as a place.
struct SieveSlow {
    slots: usize,
    queue: Vec<(u32, bool)>,
    hand: Option<usize>,
}

impl Twin for SieveSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        if let Some(entry) = self.queue.iter_mut().find(|entry| entry.0 == key) {
            entry.1 = true;
            return (true, vec![]);
        }
        if self.slots == 0 {
            return (false, vec![]);
        }
        let mut left = vec![];
        if self.queue.len() == self.slots {
            let mut place = self.hand.unwrap_or(self.slots - 1);
            while self.queue[place].1 {
                self.queue[place].1 = false;
                place = if place == 0 { self.slots - 1 } else { place - 1 };
            }
            left.push(self.queue.remove(place).0);
            self.hand = place.checked_sub(1);
        }
        self.queue.insert(0, (key, false));
        // Everything, and the hand with it, is one place further from the newest.
        self.hand = self.hand.map(|place| place + 1);
        (false, left)
    }
}

/// Figure 4 of the paper, with its names: lists have the least recently used first.
struct ArcSlow {
    c: usize,
    p: usize,
    t1: Vec<u32>,
    t2: Vec<u32>,
    b1: Vec<u32>,
    b2: Vec<u32>,
}

impl ArcSlow {
    fn replace(&mut self, in_b2: bool) -> Vec<u32> {
        if self.t1.len() + self.t2.len() < self.c {
            return vec![];
        }
        let from_t1 = !self.t1.is_empty() && (self.t1.len() > self.p || (in_b2 && self.t1.len() == self.p));
        let (list, ghosts) = if from_t1 {
            (&mut self.t1, &mut self.b1)
        } else {
            (&mut self.t2, &mut self.b2)
        };
        let key = list.remove(0);
        ghosts.push(key);
        vec![key]
    }
}

impl Twin for ArcSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        // Case I.
        if take(&mut self.t1, &key) || take(&mut self.t2, &key) {
            self.t2.push(key);
            return (true, vec![]);
        }
        if self.c == 0 {
            return (false, vec![]);
        }
        let (b1, b2) = (self.b1.len(), self.b2.len());
        // Case II.
        if self.b1.contains(&key) {
            self.p = self.c.min(self.p + if b1 >= b2 { 1 } else { b2 / b1 });
            let left = self.replace(false);
            take(&mut self.b1, &key);
            self.t2.push(key);
            return (false, left);
        }
        // Case III.
        if self.b2.contains(&key) {
            self.p = self.p.saturating_sub(if b2 >= b1 { 1 } else { b1 / b2 });
            let left = self.replace(true);
            take(&mut self.b2, &key);
            self.t2.push(key);
            return (false, left);
        }
        // Case IV.
        let mut left = vec![];
        if self.t1.len() + b1 == self.c {
            if self.t1.len() < self.c {
                self.b1.remove(0);
                left = self.replace(false);
            } else {
                left.push(self.t1.remove(0));
            }
        } else if self.t1.len() + self.t2.len() + b1 + b2 >= self.c {
            if self.t1.len() + self.t2.len() + b1 + b2 == 2 * self.c {
                self.b2.remove(0);
            }
            left = self.replace(false);
        }
        self.t1.push(key);
        (false, left)
    }
}

struct BeladySlow {
    slots: usize,
    steps: Vec<u32>,
    now: usize,
    resident: Vec<u32>,
}

impl BeladySlow {
    fn next_use(&self, key: u32) -> usize {
        (self.now..self.steps.len())
            .find(|&step| self.steps[step] == key)
            .unwrap_or(usize::MAX)
    }
}

impl Twin for BeladySlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        self.now += 1;
        if self.resident.contains(&key) {
            return (true, vec![]);
        }
        self.resident.push(key);
        if self.resident.len() <= self.slots {
            return (false, vec![]);
        }
        // The latest next use, and of those never used again the lowest key.
        let last = *self
            .resident
            .iter()
            .max_by_key(|&&key| (self.next_use(key), std::cmp::Reverse(key)))
            .unwrap();
        take(&mut self.resident, &last);
        (false, if last == key { vec![] } else { vec![last] })
    }

    fn end_token(&mut self) -> Vec<u32> {
        self.now += 1;
        vec![]
    }
}
