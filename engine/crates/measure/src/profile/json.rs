//! JSON to write, in the layout of the shipped profiles: what fits on a line stands on one.

use std::fmt;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// A number; one that is not finite is written as `null`.
    Number(f64),
    /// A text.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A list.
    List(Vec<Json>),
    /// An object, in this order.
    Object(Vec<(&'static str, Json)>),
}

/// Longer lines are broken.
const LINE: usize = 200;

impl Json {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn is_flat(&self) -> bool {
        let is_single = |value: &Json| !matches!(value, Self::List(_) | Self::Object(_));
        match self {
            Self::List(all) => all.iter().all(is_single),
            Self::Object(all) => all
                .iter()
                .all(|(_, value)| is_single(value) || matches!(value, Self::List(list) if list.iter().all(is_single))),
            _ => true,
        }
    }

    fn line(&self, out: &mut String) {
        use fmt::Write as _;
        match self {
            Self::Null => out.push_str("null"),
            Self::Number(number) if number.is_finite() => drop(write!(out, "{number}")),
            Self::Number(_) => out.push_str("null"),
            Self::Flag(flag) => drop(write!(out, "{flag}")),
            Self::Text(text) => quote(text, out),
            Self::List(all) => {
                out.push('[');
                for (place, value) in all.iter().enumerate() {
                    out.push_str(if place == 0 { "" } else { ", " });
                    value.line(out);
                }
                out.push(']');
            }
            Self::Object(all) => {
                out.push('{');
                for (place, (key, value)) in all.iter().enumerate() {
                    out.push_str(if place == 0 { " " } else { ", " });
                    quote(key, out);
                    out.push_str(": ");
                    value.line(out);
                }
                out.push_str(if all.is_empty() { "}" } else { " }" });
            }
        }
    }

    fn lines(&self, indent: usize, out: &mut String) {
        let mut line = String::new();
        if self.is_flat() {
            self.line(&mut line);
        }
        // A fact stays on its line however long its note is, as in the shipped profiles.
        if !line.is_empty() && (line.len() + 2 * indent <= LINE || matches!(self, Self::Object(_))) {
            out.push_str(&line);
            return;
        }
        let (open, close, count) = match self {
            Self::List(all) => ('[', ']', all.len()),
            Self::Object(all) => ('{', '}', all.len()),
            single => return single.line(out),
        };
        out.push(open);
        for place in 0..count {
            out.push_str(if place == 0 { "\n" } else { ",\n" });
            (0..=indent).for_each(|_| out.push_str("  "));
            match self {
                Self::Object(all) => {
                    quote(all[place].0, out);
                    out.push_str(": ");
                    all[place].1.lines(indent + 1, out);
                }
                Self::List(all) => all[place].lines(indent + 1, out),
                _ => {}
            }
        }
        out.push('\n');
        (0..indent).for_each(|_| out.push_str("  "));
        out.push(close);
    }
}

impl fmt::Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.lines(0, &mut text);
        out.write_str(&text)
    }
}

fn quote(text: &str, out: &mut String) {
    use fmt::Write as _;
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if (control as u32) < 0x20 => drop(write!(out, "\\u{:04x}", control as u32)),
            plain => out.push(plain),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn texts_are_quoted_and_numbers_that_are_none_are_null() {
        let json = Json::Object(vec![
            ("a", Json::text("say \"\\\u{1}\n")),
            (
                "b",
                Json::List(vec![Json::Number(1.5), Json::Number(f64::NAN), Json::Flag(true)]),
            ),
            ("c", Json::Object(Vec::new())),
        ]);
        assert_eq!(
            json.to_string(),
            "{\n  \"a\": \"say \\\"\\\\\\u0001\\n\",\n  \"b\": [1.5, null, true],\n  \"c\": {}\n}"
        );
        assert_eq!(Json::List(Vec::new()).to_string(), "[]");
    }

    #[test]
    fn long_lists_are_broken_and_facts_are_not() {
        let fact = || Json::Object(vec![("value", Json::text("1GB/s")), ("note", Json::text("x".repeat(300)))]);
        let text = Json::List(vec![fact(), fact()]).to_string();
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
