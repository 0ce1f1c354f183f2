//! Adapting while running. Every window of tokens, what reads and kernels took is compared with what the rates predict. When it is off
//! by more than a quarter for two windows in a row, the rates are corrected, and the way of reading gate rows is chosen again. What made
//! a storage slower, commands or bytes, one number does not tell: a way that is better in every case is taken; one that is better in
//! some is tried for a window, after which two equations tell, and given up if tokens took longer.
//!
//! Pure. Operation by operation as `sim/policies/adaptation/adapt.ts`, held to it by `test/vectors/adaptation.jsonl`.

mod decision;
mod rates;
mod token;
mod ways;

pub use decision::{AdaptSetting, Cause, Decision, Measured, Rates, Verdict, Window, Work};
pub use ways::ReadCost;

use crate::options::GateReads;
use rates::solved;
use token::Token;

/// What is predicted and what is measured may differ by this factor.
const THRESHOLD: f64 = 1.25;
/// Windows in a row before anything is done.
const CONFIRM: u32 = 2;
/// Of the last window in the mean of those: the first may have begun before the change.
const WEIGHT: f64 = 0.75;
/// Of the last window in what computing is expected to take, which no profile says.
const DRIFT: f64 = 0.25;
/// Of a token's time, the least that a change must save.
const LEAST_GAIN: f64 = 0.05;
/// Of a token's time, the least waiting at which the storage is what a token waits for.
const WAITING: f64 = 0.1;

/// How often in a row something was off, and by how much: an exponentially weighted mean that begins with the first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Off {
    ratio: f64,
    windows: u32,
}

const IN_ORDER: Off = Off { ratio: 1.0, windows: 0 };

impl Off {
    fn next(self, ratio: f64, counts: bool) -> Self {
        let is_off = !(1.0 / THRESHOLD..=THRESHOLD).contains(&ratio);
        if !counts || !is_off {
            return IN_ORDER;
        }
        Self {
            ratio: if self.windows == 0 {
                ratio
            } else {
                self.ratio + WEIGHT * (ratio - self.ratio)
            },
            windows: self.windows + 1,
        }
    }
}

/// What a token took before a change that is being judged.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Trial {
    from: GateReads,
    token: Token,
}

/// What is known so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapting {
    setting: AdaptSetting,
    gates: GateReads,
    rates: Rates,
    /// Computing a token, as of the windows before.
    compute_ns: Option<f64>,
    storage: Off,
    kernels: Off,
    trial: Option<Trial>,
    /// Ways that were judged since the rates were last corrected.
    judged: Vec<GateReads>,
}

/// Another way, with what it saves at worst and at best if any of some rates may be the true ones.
#[derive(Clone, Copy)]
struct Choice {
    way: GateReads,
    least: f64,
    most: f64,
}

/// The first of the best.
fn best(choices: &[Choice], of: impl Fn(&Choice) -> f64) -> Option<Choice> {
    choices.iter().copied().fold(None, |best: Option<Choice>, choice| {
        if best.is_none_or(|best| of(&choice) > of(&best)) {
            Some(choice)
        } else {
            best
        }
    })
}

impl AdaptSetting {
    /// What a token like this one reads in a way.
    fn work(&self, token: &Token, way: GateReads) -> Work {
        let of = self.gates[way as usize];
        let units = if way == GateReads::Bundles {
            token.units - token.beside
        } else {
            token.units
        };
        Work {
            reads: token.clusters * of.reads + units * self.unit.reads,
            bytes: token.clusters * of.bytes + units * self.unit.bytes,
            cpu_ns: token.clusters * of.cpu_ns + units * self.unit.cpu_ns,
        }
    }

    /// Share of the token's time that another way saves: threads and storage work side by side, and the slower of the two decides.
    fn saved(&self, token: &Token, compute_ns: f64, from: GateReads, to: GateReads, rates: &Rates) -> f64 {
        let (now, then) = (self.work(token, from), self.work(token, to));
        let before = compute_ns.max(rates.reading_ns(now.reads, now.bytes));
        let after = (compute_ns + then.cpu_ns - now.cpu_ns).max(rates.reading_ns(then.reads, then.bytes));
        (before - after) / token.wall_ns
    }

    /// Tokens differ in what they lack: what one like this would have taken before the change.
    fn as_before(&self, trial: &Trial, seen: &Token, rates: &Rates) -> f64 {
        let of = |token: &Token| {
            let work = self.work(token, trial.from);
            rates.reading_ns(work.reads, work.bytes)
        };
        let before = of(&trial.token);
        if before > 0.0 {
            trial.token.wall_ns * (of(seen) / before)
        } else {
            trial.token.wall_ns
        }
    }

    fn others(&self, token: &Token, compute_ns: f64, from: GateReads, judged: &[GateReads], rates: &[Rates]) -> Vec<Choice> {
        let open = |way: &&GateReads| **way != from && !judged.contains(way);
        self.choices
            .iter()
            .filter(open)
            .map(|&way| {
                let saved = rates.iter().map(|one| self.saved(token, compute_ns, from, way, one));
                let (least, most) = saved.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), one| {
                    (least.min(one), most.max(one))
                });
                Choice { way, least, most }
            })
            .collect()
    }
}

impl Adapting {
    /// At the beginning of a run that reads gate rows in this way.
    pub fn new(setting: AdaptSetting, gates: GateReads) -> Self {
        Self {
            rates: setting.rates,
            setting,
            gates,
            compute_ns: None,
            storage: IN_ORDER,
            kernels: IN_ORDER,
            trial: None,
            judged: Vec::new(),
        }
    }

    /// Tokens of a window.
    pub fn every(&self) -> u32 {
        self.setting.every
    }

    /// How gate rows are to be read from now on.
    pub fn gates(&self) -> GateReads {
        self.gates
    }

    /// One window later. `token`: tokens decoded so far.
    pub fn adapt(&mut self, window: &Window, token: u64) -> Option<Decision> {
        let seen = Token::of(window);
        let predicted_ns = self.rates.reading_ns(seen.reads, seen.bytes);
        let record = Decision {
            token,
            verdict: Verdict::Corrected,
            cause: Cause::Trial,
            measured: seen.measured(window),
            predicted_reading_ns: predicted_ns,
            predicted_compute_ns: self.compute_ns,
            rates: [self.rates; 2],
            gates: [self.gates; 2],
            saves: None,
        };
        if let Some(trial) = self.trial {
            return Some(self.judge(trial, &seen, record));
        }
        let waits = seen.waited_ns >= WAITING * seen.wall_ns;
        let storage_ratio = if predicted_ns > 0.0 {
            seen.reading_ns / predicted_ns
        } else {
            1.0
        };
        let storage = self.storage.next(storage_ratio, waits);
        let kernels_ratio = self.compute_ns.map_or(1.0, |before| seen.compute_ns / before);
        let kernels = self.kernels.next(kernels_ratio, true);
        let (storage_off, kernels_off) = (storage.windows >= CONFIRM, kernels.windows >= CONFIRM);
        let expected_ns = self.compute_ns.unwrap_or(seen.compute_ns);
        if !storage_off && !kernels_off {
            self.compute_ns = Some(if kernels.windows > 0 {
                expected_ns
            } else {
                expected_ns + DRIFT * (seen.compute_ns - expected_ns)
            });
            (self.storage, self.kernels) = (storage, kernels);
            return None;
        }
        let compute_ns = if kernels_off {
            expected_ns * kernels.ratio
        } else {
            expected_ns
        };
        let suspects = if storage_off {
            self.rates
                .blamed(seen.reads, seen.bytes, predicted_ns * storage.ratio)
                .to_vec()
        } else {
            vec![self.rates]
        };
        let options = self.setting.others(&seen, compute_ns, self.gates, &[], &suspects);
        let (safe, hopeful) = (best(&options, |choice| choice.least), best(&options, |choice| choice.most));
        let found = safe
            .filter(|safe| safe.least >= LEAST_GAIN)
            .map(|safe| (safe, Verdict::Changed))
            .or_else(|| {
                hopeful
                    .filter(|hopeful| hopeful.most >= LEAST_GAIN)
                    .map(|hopeful| (hopeful, Verdict::Tried))
            });
        let cause = match (storage_off, kernels_off) {
            (true, true) => Cause::Both,
            (true, false) => Cause::Storage,
            _ => Cause::Kernels,
        };
        let record = Decision {
            cause,
            rates: [self.rates, suspects[0]],
            ..record
        };
        self.rates = suspects[0];
        (self.storage, self.kernels) = (IN_ORDER, IN_ORDER);
        self.judged.clear();
        let Some((choice, verdict)) = found else {
            self.compute_ns = Some(compute_ns);
            return Some(Decision {
                saves: hopeful.map(|hopeful| [hopeful.least, hopeful.most]),
                ..record
            });
        };
        self.trial = Some(Trial {
            from: self.gates,
            token: seen,
        });
        self.compute_ns = None;
        let from = std::mem::replace(&mut self.gates, choice.way);
        Some(Decision {
            verdict,
            gates: [from, choice.way],
            saves: Some([choice.least, choice.most]),
            ..record
        })
    }

    /// How a change turned out: with two ways measured the rates are known, and a third way is tried if by them it may be better.
    fn judge(&mut self, trial: Trial, seen: &Token, record: Decision) -> Decision {
        let suspects = solved(self.rates, trial.token.seen(), seen.seen());
        let rates = suspects[0];
        let before_ns = self.setting.as_before(&trial, seen, &rates);
        let better = seen.wall_ns < before_ns;
        let measured = (before_ns - seen.wall_ns) / before_ns;
        let now = self.gates;
        self.judged.extend([now, trial.from]);
        let others = self.setting.others(seen, seen.compute_ns, now, &self.judged, &suspects);
        let record = Decision {
            rates: [self.rates, rates],
            ..record
        };
        self.rates = rates;
        self.compute_ns = None;
        (self.storage, self.kernels) = (IN_ORDER, IN_ORDER);
        // What it has to beat is the better of the two that were measured.
        let behind = ((seen.wall_ns - before_ns) / seen.wall_ns).max(0.0);
        if let Some(third) = best(&others, |choice| choice.most).filter(|third| third.most - behind >= LEAST_GAIN) {
            self.trial = Some(if better { Trial { from: now, token: *seen } } else { trial });
            self.gates = third.way;
            return Decision {
                verdict: Verdict::Tried,
                gates: [now, third.way],
                saves: Some([third.least, third.most]),
                ..record
            };
        }
        self.trial = None;
        self.gates = if better { now } else { trial.from };
        Decision {
            verdict: if better { Verdict::Kept } else { Verdict::Returned },
            gates: [now, self.gates],
            saves: Some([measured, measured]),
            ..record
        }
    }
}
