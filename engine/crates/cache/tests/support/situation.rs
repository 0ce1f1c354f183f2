//! A cache, requests to it, and what came of them; as one line of test/vectors.

use super::Random;
use super::json::Json;
use cache::{Admission, END_TOKEN, Held, Policy, PolicyKind, Setting};

#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    pub name: String,
    pub slots: u32,
    pub window_tokens: u32,
    pub heat: Vec<f64>,
    /// Requests by key, and END_TOKEN.
    pub steps: Vec<u32>,
}

/// What a policy did: a letter for each step (1 hit, 0 miss, - end of a token), and what left at which step.
#[derive(Clone, Debug, PartialEq)]
pub struct Decisions {
    pub outcome: String,
    pub evicted: Vec<(usize, Vec<u32>)>,
}

impl Decisions {
    pub fn new() -> Self {
        Decisions {
            outcome: String::new(),
            evicted: Vec::new(),
        }
    }

    pub fn note(&mut self, letter: char, evicted: Vec<u32>) {
        if !evicted.is_empty() {
            self.evicted.push((self.outcome.len(), evicted));
        }
        self.outcome.push(letter);
    }

    pub fn hits(&self) -> u64 {
        self.outcome.matches('1').count() as u64
    }
}

impl Situation {
    pub fn setting(&self) -> Setting<'_> {
        Setting {
            keys: self.heat.len() as u32,
            slots: self.slots,
            heat: &self.heat,
            window_tokens: self.window_tokens,
            future: &self.steps,
        }
    }

    /// What the policy does, one request after the other.
    pub fn decide(&self, policy: &mut dyn Policy) -> Decisions {
        let mut decisions = Decisions::new();
        for &step in &self.steps {
            let mut evicted = Vec::new();
            let letter = if step == END_TOKEN {
                policy.end_token(Held::NONE, &mut |key| evicted.push(key));
                '-'
            } else if policy.request(step) {
                '1'
            } else {
                if let Admission::Taken { evicted: Some(key) } = policy.admit(step, Held::NONE) {
                    evicted.push(key);
                }
                '0'
            };
            decisions.note(letter, evicted);
        }
        decisions
    }

    /// Requests at random: things of falling heat, some of the last token's again, now and then a scan of rare ones. `drift`
    /// moves the heat along by as many keys each token.
    pub fn random(name: &str, random: &mut Random, keys: u32, slots: u32, tokens: u32, drift: u32) -> Situation {
        let heat: Vec<f64> = (0..keys).map(|_| f64::from(random.below(40)) / 100.0).collect();
        let window_tokens = 1 + random.below(4);
        let mut steps: Vec<u32> = Vec::new();
        let mut last: Vec<u32> = Vec::new();
        for token in 0..tokens {
            let scan = if random.below(5) == 0 { random.below(keys) } else { keys };
            let mut this: Vec<u32> = Vec::new();
            for key in 0..keys {
                let moved = ((key + token * drift) % keys) as usize;
                let again = if last.contains(&key) { 0.3 } else { 0.0 };
                let scanned = (scan..scan.saturating_add(slots / 2 + 1)).contains(&key);
                if scanned || random.uniform() < heat[moved] * heat[moved] * 2.0 + again {
                    this.push(key);
                }
            }
            steps.extend(&this);
            steps.push(END_TOKEN);
            last = this;
        }
        Situation {
            name: name.to_owned(),
            slots,
            window_tokens,
            heat,
            steps,
        }
    }

    pub fn read(line: &Json) -> (PolicyKind, Situation, Decisions) {
        let steps = line.get("steps").list().iter().map(Json::integer);
        let evicted = line.get("evicted").list().iter().map(|entry| {
            let numbers: Vec<u32> = entry.list().iter().map(|number| number.integer() as u32).collect();
            (numbers[0] as usize, numbers[1..].to_vec())
        });
        let situation = Situation {
            name: line.get("situation").text().to_owned(),
            slots: line.get("slots").integer() as u32,
            window_tokens: line.get("windowTokens").integer() as u32,
            heat: line.get("heat").list().iter().map(Json::number).collect(),
            steps: steps.map(|step| u32::try_from(step).unwrap_or(END_TOKEN)).collect(),
        };
        let decisions = Decisions {
            outcome: line.get("outcome").text().to_owned(),
            evicted: evicted.collect(),
        };
        (line.get("policy").text().parse().unwrap(), situation, decisions)
    }

    pub fn line(&self, kind: PolicyKind, decisions: &Decisions) -> String {
        let list = |items: Vec<String>| format!("[{}]", items.join(","));
        let steps = self.steps.iter().map(|&step| {
            if step == END_TOKEN {
                "-1".to_owned()
            } else {
                step.to_string()
            }
        });
        let evicted = decisions.evicted.iter().map(|(step, keys)| {
            list(
                std::iter::once(step.to_string())
                    .chain(keys.iter().map(u32::to_string))
                    .collect(),
            )
        });
        format!(
            "{{\"policy\":\"{kind}\",\"situation\":\"{}\",\"slots\":{},\"windowTokens\":{},\"heat\":{},\"steps\":{},\"outcome\":\"{}\",\"evicted\":{}}}\n",
            self.name,
            self.slots,
            self.window_tokens,
            list(self.heat.iter().map(f64::to_string).collect()),
            list(steps.collect()),
            decisions.outcome,
            list(evicted.collect()),
        )
    }
}

/// Many of them: small ones meet every corner (no slot, one slot, all fit), larger ones fill ghosts and move targets.
pub fn situations(seed: u64, count: u32) -> impl Iterator<Item = Situation> {
    let mut random = Random::new(seed);
    (0..count).map(move |number| {
        let keys = if number % 3 == 0 {
            60 + random.below(120)
        } else {
            1 + random.below(16)
        };
        let slots = random.below(if number % 2 == 0 { keys + 2 } else { keys / 3 + 2 });
        let (tokens, drift) = (random.below(40), random.below(3));
        Situation::random(
            &format!("seed {seed}, number {number}"),
            &mut random,
            keys,
            slots,
            tokens,
            drift,
        )
    })
}
