//! Reads JSON, as much of it as vectors use: enough to refuse what is not JSON, not more.

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The values of a file with one on each line.
    pub fn lines(text: &str) -> Vec<Json> {
        text.lines()
            .enumerate()
            .map(|(line, text)| Json::read(text).unwrap_or_else(|e| panic!("line {}: {e}", line + 1)))
            .collect()
    }

    pub fn read(text: &str) -> Result<Json, String> {
        let mut reader = Reader {
            bytes: text.as_bytes(),
            at: 0,
        };
        let value = reader.value()?;
        reader.space();
        if reader.at == text.len() {
            Ok(value)
        } else {
            Err(format!("more after the value at byte {}", reader.at))
        }
    }

    pub fn get(&self, name: &str) -> &Json {
        let Json::Object(fields) = self else {
            panic!("no object: {self:?}")
        };
        &fields
            .iter()
            .find(|(field, _)| field == name)
            .unwrap_or_else(|| panic!("no field {name}"))
            .1
    }

    pub fn text(&self) -> &str {
        let Json::Text(text) = self else { panic!("no text: {self:?}") };
        text
    }

    pub fn number(&self) -> f64 {
        let Json::Number(number) = self else {
            panic!("no number: {self:?}")
        };
        *number
    }

    pub fn integer(&self) -> i64 {
        let number = self.number();
        assert_eq!(number.fract(), 0.0, "no integer: {number}");
        number as i64
    }

    pub fn list(&self) -> &[Json] {
        let Json::List(list) = self else { panic!("no list: {self:?}") };
        list
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> u8 {
        self.space();
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn expect(&mut self, what: &str) -> Result<(), String> {
        self.space();
        if self.bytes[self.at..].starts_with(what.as_bytes()) {
            self.at += what.len();
            Ok(())
        } else {
            Err(format!("expected {what} at byte {}", self.at))
        }
    }

    fn value(&mut self) -> Result<Json, String> {
        match self.peek() {
            b'n' => self.expect("null").map(|()| Json::Null),
            b't' => self.expect("true").map(|()| Json::Bool(true)),
            b'f' => self.expect("false").map(|()| Json::Bool(false)),
            b'"' => self.string().map(Json::Text),
            b'[' => {
                let mut list = Vec::new();
                self.items(b'[', b']', |reader| {
                    list.push(reader.value()?);
                    Ok(())
                })?;
                Ok(Json::List(list))
            }
            b'{' => {
                let mut fields = Vec::new();
                self.items(b'{', b'}', |reader| {
                    reader.space();
                    let name = reader.string()?;
                    reader.expect(":")?;
                    fields.push((name, reader.value()?));
                    Ok(())
                })?;
                Ok(Json::Object(fields))
            }
            _ => self.number(),
        }
    }

    fn items(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        self.expect((open as char).encode_utf8(&mut [0; 4]))?;
        if self.peek() == close {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            match self.peek() {
                b',' => self.at += 1,
                next if next == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(format!("expected , or {} at byte {}", close as char, self.at)),
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut text = Vec::new();
        loop {
            let byte = *self.bytes.get(self.at).ok_or("a text that does not end")?;
            self.at += 1;
            match byte {
                b'"' => return String::from_utf8(text).map_err(|e| e.to_string()),
                b'\\' => {
                    let escaped = *self.bytes.get(self.at).ok_or("a text that does not end")?;
                    self.at += 1;
                    text.push(match escaped {
                        b'"' | b'\\' | b'/' => escaped,
                        b'n' => b'\n',
                        b't' => b'\t',
                        _ => return Err(format!("an escape that vectors do not use: \\{}", escaped as char)),
                    });
                }
                _ => text.push(byte),
            }
        }
    }

    fn number(&mut self) -> Result<Json, String> {
        self.space();
        let start = self.at;
        while self
            .bytes
            .get(self.at)
            .is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
        {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).map_err(|e| e.to_string())?;
        text.parse()
            .map(Json::Number)
            .map_err(|_| format!("no value at byte {start}: {text}"))
    }
}

#[test]
fn reads_what_vectors_are_made_of() {
    let value =
        Json::read(r#" {"a": [1, -2.5, 3e2], "b": {"c": "x \"y\" é"}, "d": [], "e": {}, "f": [true, false, null]} "#).unwrap();
    assert_eq!(
        value.get("a").list().iter().map(Json::number).collect::<Vec<_>>(),
        [1.0, -2.5, 300.0]
    );
    assert_eq!(value.get("b").get("c").text(), "x \"y\" é");
    assert_eq!(value.get("d").list(), []);
    assert_eq!(value.get("f").list(), [Json::Bool(true), Json::Bool(false), Json::Null]);
    for wrong in ["", "[1", "[1,]", "{\"a\":}", "{\"a\" 1}", "\"x", "1 2", "[1 2]", "nul", "-"] {
        assert!(Json::read(wrong).is_err(), "{wrong:?}");
    }
}
