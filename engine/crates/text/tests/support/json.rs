//! As much JSON as the vectors need.

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Bool(bool),
    Number(u32),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(line: &str) -> Json {
        let mut rest = line.trim();
        let json = value(&mut rest);
        assert!(rest.is_empty(), "left over: {rest}");
        json
    }
    pub fn get(&self, key: &str) -> &Json {
        let Json::Object(entries) = self else {
            panic!("no object: {self:?}")
        };
        &entries
            .iter()
            .find(|(name, _)| name == key)
            .unwrap_or_else(|| panic!("no {key}"))
            .1
    }
    pub fn text(&self) -> &str {
        let Json::Text(text) = self else { panic!("no text: {self:?}") };
        text
    }
    pub fn bool(&self) -> bool {
        *self == Json::Bool(true)
    }
    pub fn list(&self) -> &[Json] {
        let Json::List(list) = self else { panic!("no list: {self:?}") };
        list
    }
    pub fn number(&self) -> u32 {
        let Json::Number(number) = self else {
            panic!("no number: {self:?}")
        };
        *number
    }
}

fn eat(rest: &mut &str, token: &str) -> bool {
    match rest.strip_prefix(token) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

fn value(rest: &mut &str) -> Json {
    if eat(rest, "true") {
        return Json::Bool(true);
    }
    if eat(rest, "false") {
        return Json::Bool(false);
    }
    if eat(rest, "[") {
        return Json::List(until(rest, "]", value));
    }
    if eat(rest, "{") {
        return Json::Object(until(rest, "}", |rest| {
            let key = string(rest);
            assert!(eat(rest, ":"));
            (key, value(rest))
        }));
    }
    if rest.starts_with('"') {
        return Json::Text(string(rest));
    }
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = rest[..end].parse().unwrap_or_else(|_| panic!("no value: {rest}"));
    *rest = &rest[end..];
    Json::Number(number)
}

fn until<T>(rest: &mut &str, close: &str, item: impl Fn(&mut &str) -> T) -> Vec<T> {
    let mut items = Vec::new();
    while !eat(rest, close) {
        assert!(items.is_empty() || eat(rest, ","), "no comma: {rest}");
        items.push(item(rest));
    }
    items
}

fn string(rest: &mut &str) -> String {
    assert!(eat(rest, "\""));
    // Halves of a pair come one after the other.
    let mut units: Vec<u16> = Vec::new();
    loop {
        let character = rest.chars().next().expect("an unclosed string");
        *rest = &rest[character.len_utf8()..];
        match character {
            '"' => return String::from_utf16(&units).unwrap(),
            '\\' => {
                let escape = rest.chars().next().unwrap();
                *rest = &rest[1..];
                units.push(match escape {
                    'n' => 10,
                    'r' => 13,
                    't' => 9,
                    'b' => 8,
                    'f' => 12,
                    'u' => {
                        let unit = u16::from_str_radix(&rest[..4], 16).unwrap();
                        *rest = &rest[4..];
                        unit
                    }
                    other => other as u16,
                });
            }
            other => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
        }
    }
}
