//! Numbers with where they come from.

use super::json::Json;
use crate::samples::Spread;

/// Four digits of a number, without exponents: a quantity in a profile.
pub(super) fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let before = value.abs().log10().floor() as i32 + 1;
    let after = (4 - before).max(0) as usize;
    let text = format!("{value:.after$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// The units that profiles are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Bytes a nanosecond.
    Bandwidth,
    /// Operations a nanosecond.
    Operations,
    /// Nanoseconds.
    Time,
    /// Gigahertz.
    Clock,
    /// How many, or a ratio.
    Plain,
}

/// A quantity as profiles write it.
pub(super) fn quantity(unit: Unit, value: f64) -> Json {
    Json::Text(match unit {
        Unit::Bandwidth => format!("{}GB/s", digits(value)),
        Unit::Operations => format!("{}GOPS", digits(value)),
        Unit::Time => match value {
            1e6.. => format!("{}ms", digits(value / 1e6)),
            1e3.. => format!("{}us", digits(value / 1e3)),
            _ => format!("{}ns", digits(value)),
        },
        Unit::Clock => format!("{}GHz", digits(value)),
        Unit::Plain => return Json::Number(digits(value).parse().unwrap_or(value)),
    })
}

/// Bytes with the largest binary unit that divides them.
pub(super) fn bytes(value: u64) -> String {
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if value >= size && value.is_multiple_of(size) {
            return format!("{}{unit}", value / size);
        }
    }
    format!("{value}B")
}

/// A fact.
fn fact(kind: &str, value: Json, source: &str, note: String) -> Json {
    let mut fields = vec![("value", value), ("kind", Json::text(kind)), ("source", Json::text(source))];
    if !note.is_empty() {
        fields.push(("note", Json::Text(note)));
    }
    Json::Object(fields)
}

/// Says what was measured and where, for all facts of a profile.
pub(super) struct Facts<'a> {
    pub source: &'a str,
}

impl Facts<'_> {
    /// A measured quantity with its quartiles; `what` says how it was measured.
    pub fn spread(&self, unit: Unit, spread: Spread, what: &str) -> Json {
        let show = |value| match quantity(unit, value) {
            Json::Text(text) => text,
            _ => digits(value),
        };
        let note = format!(
            "{what}; median of {} turns, quartiles {} to {}",
            spread.turns,
            show(spread.low),
            show(spread.high)
        );
        fact("measured", quantity(unit, spread.median), self.source, note)
    }

    /// A measured quantity by itself.
    pub fn measured(&self, unit: Unit, value: f64, what: &str) -> Json {
        fact("measured", quantity(unit, value), self.source, what.to_owned())
    }

    /// What the system says and nobody had to measure.
    pub fn told(&self, value: Json, what: &str) -> Json {
        fact("measured", value, self.source, what.to_owned())
    }

    /// What cannot be measured here; `why` says so and where the number is from.
    pub fn estimated(value: Json, why: &str) -> Json {
        fact("estimated", value, "neuronlab estimate", why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Unit, bytes, digits, quantity};

    #[test]
    fn quantities_have_four_digits_and_no_exponent() {
        let shown = [0.000_123_456, 0.1, 9.876_54, 1234.5, 98_765.4, 0.0, 100.0].map(digits);
        assert_eq!(shown, ["0.0001235", "0.1", "9.877", "1234", "98765", "0", "100"]);
        assert_eq!(quantity(Unit::Time, 1500.0).to_string(), "\"1.5us\"");
        assert_eq!(quantity(Unit::Time, 250.0).to_string(), "\"250ns\"");
        assert_eq!(quantity(Unit::Plain, 0.333_333).to_string(), "0.3333");
        assert_eq!([1 << 30, 12 << 10, 1000].map(bytes), ["1GiB", "12KiB", "1000B"]);
    }
}
