//! The two numbers of a storage, and who is to blame when it takes longer than they say. Operation by operation as
//! `sim/policies/adaptation/rates.ts`: the results are the same bits.

use super::decision::Rates;

impl Rates {
    /// Device time of so many reads of so many bytes, in nanoseconds.
    pub fn reading_ns(&self, reads: f64, bytes: f64) -> f64 {
        self.command_ns * reads + self.byte_ns * bytes
    }

    /// One of the two may be nothing; then the other is all.
    fn sound(self, before: Self, ns: f64, reads: f64, bytes: f64) -> Self {
        if self.command_ns < 0.0 || reads <= 0.0 {
            let byte_ns = if bytes > 0.0 { ns / bytes } else { before.byte_ns };
            return Self {
                command_ns: 0.0,
                byte_ns,
            };
        }
        if self.byte_ns < 0.0 || bytes <= 0.0 {
            return Self {
                command_ns: ns / reads,
                byte_ns: 0.0,
            };
        }
        self
    }

    /// `reads` of `bytes` took `ns`: by both alike, by commands alone, by bytes alone.
    pub(super) fn blamed(self, reads: f64, bytes: f64, ns: f64) -> [Self; 3] {
        let predicted = self.reading_ns(reads, bytes);
        let ratio = if predicted > 0.0 { ns / predicted } else { 1.0 };
        let even = Self {
            command_ns: self.command_ns * ratio,
            byte_ns: self.byte_ns * ratio,
        };
        let commands = Self {
            command_ns: (ns - self.byte_ns * bytes) / reads,
            ..self
        };
        let of_bytes = Self {
            byte_ns: (ns - self.command_ns * reads) / bytes,
            ..self
        };
        [
            even,
            commands.sound(self, ns, reads, bytes),
            of_bytes.sound(self, ns, reads, bytes),
        ]
    }
}

/// Reads, bytes, and the nanoseconds that they took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub reads: f64,
    pub bytes: f64,
    pub reading_ns: f64,
}

/// Two mixtures of commands and bytes are much the same below this.
const ALIKE: f64 = 0.01;

/// What was measured may be off by so much.
const NOISE: f64 = 0.03;

/// Two ways of reading are two equations: their solution, and those with the noise at its worst. `rates` where they are too much alike to
/// tell.
pub(super) fn solved(rates: Rates, one: Seen, other: Seen) -> [Rates; 3] {
    let off = |seen: Seen, by: f64| Seen {
        reading_ns: seen.reading_ns * by,
        ..seen
    };
    [
        between(rates, one, other),
        between(rates, off(one, 1.0 + NOISE), off(other, 1.0 - NOISE)),
        between(rates, off(one, 1.0 - NOISE), off(other, 1.0 + NOISE)),
    ]
}

fn between(rates: Rates, one: Seen, other: Seen) -> Rates {
    let (straight, crossed) = (one.reads * other.bytes, other.reads * one.bytes);
    let apart = straight - crossed;
    if apart.abs() <= ALIKE * (straight + crossed) {
        return rates;
    }
    let found = Rates {
        command_ns: (one.reading_ns * other.bytes - other.reading_ns * one.bytes) / apart,
        byte_ns: (one.reads * other.reading_ns - other.reads * one.reading_ns) / apart,
    };
    found.sound(
        rates,
        one.reading_ns + other.reading_ns,
        one.reads + other.reads,
        one.bytes + other.bytes,
    )
}
