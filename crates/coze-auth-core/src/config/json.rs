//! A JSON file that people edit: read with what they add to it, and refused with the place where it cannot be
//! read. What it held is wiped, which a library's scratch space is not.
//!
//! Taken, since it can mean one thing only: comments (`//`, `/* */`, `#`), a comma behind the last member, single
//! quotes, Python's `None`, `True` and `False`, and a line break within the key. A comma that is missing or a quote that
//! is not closed could end a text in two places, so these are refused.

use zeroize::Zeroizing;

use crate::error::{Problem, is_invisible};

/// What stands behind a name.
pub(super) enum Value {
    Text(Zeroizing<String>),
    /// The digits of a whole number, as they stand: an id has more of them than a float keeps.
    Digits(Zeroizing<String>),
    Null,
    /// Something else, in words that follow "is".
    Other(&'static str),
}

/// The members of the object that the text is, in their order.
pub(super) fn members(text: &str) -> Result<Vec<(Zeroizing<String>, Value)>, Problem> {
    let mut reader = Reader { text, at: 0 };
    reader.skip()?;
    match reader.peek() {
        Some('{') => {}
        Some('[') => {
            return Err(reader.wrong(
                "a list begins here; an object is asked for, such as {\"client_type\": …}",
            ));
        }
        Some('"' | '\'') => {
            return Err(
                reader.wrong("a text begins here; the object's { is missing in front of it")
            );
        }
        _ => return Err(reader.unexpected("the { of an object")),
    }
    let members = reader.object(0)?;
    reader.skip()?;
    match reader.peek() {
        None => Ok(members),
        Some(_) => Err(reader.wrong("the object has ended, and something else stands behind it")),
    }
}

/// How deep members that are not ours may be nested.
const DEEPEST: usize = 32;

struct Reader<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let is = self.peek() == Some(wanted);
        if is {
            self.at += wanted.len_utf8();
        }
        is
    }

    /// White space and comments.
    fn skip(&mut self) -> Result<(), Problem> {
        loop {
            let rest = self.rest();
            let blank = |c: char| c.is_whitespace() || is_invisible(c);
            self.at += rest.len() - rest.trim_start_matches(blank).len();
            let rest = self.rest();
            if rest.starts_with("//") || rest.starts_with('#') {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                match rest.find("*/") {
                    Some(end) => self.at += end + "*/".len(),
                    None => return Err(self.wrong("a comment begins here that does not end")),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Vec<(Zeroizing<String>, Value)>, Problem> {
        let mut members = Vec::new();
        self.at += '{'.len_utf8();
        loop {
            self.skip()?;
            if self.eat('}') {
                return Ok(members);
            }
            if !matches!(self.peek(), Some('"' | '\'')) {
                return Err(self.unexpected("a name in quotes, or the } of the object"));
            }
            let name = self.quoted(false)?;
            self.skip()?;
            if !self.eat(':') {
                return Err(self.unexpected("the : behind a name"));
            }
            // No other member has line breaks, so that a quote which is not closed is found on its line.
            let value = self.value(depth, name.as_str() == "private_key")?;
            members.push((name, value));
            self.skip()?;
            if !self.eat(',') && self.peek() != Some('}') {
                return Err(self.unexpected("a comma or the } of the object"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), Problem> {
        self.at += '['.len_utf8();
        loop {
            self.skip()?;
            if self.eat(']') {
                return Ok(());
            }
            self.value(depth, false)?;
            self.skip()?;
            if !self.eat(',') && self.peek() != Some(']') {
                return Err(self.unexpected("a comma or the ] of the list"));
            }
        }
    }

    fn value(&mut self, depth: usize, lines: bool) -> Result<Value, Problem> {
        self.skip()?;
        if depth > DEEPEST {
            return Err(self.wrong("it is nested too deep here"));
        }
        match self.peek() {
            Some('"' | '\'') => self.quoted(lines).map(Value::Text),
            Some('{') => self.object(depth + 1).map(|_| Value::Other("an object")),
            Some('[') => self.list(depth + 1).map(|()| Value::Other("a list")),
            Some(c) if c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_') => self.word(),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// A number, or one of the words that are values.
    fn word(&mut self) -> Result<Value, Problem> {
        let rest = self.rest();
        let part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
        let length = rest.len() - rest.trim_start_matches(part).len();
        let word = &rest[..length];
        let value = match word {
            "null" | "None" | "undefined" => Value::Null,
            "true" | "false" | "True" | "False" => Value::Other("true or false"),
            _ if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                Value::Digits(Zeroizing::new(word.to_owned()))
            }
            _ if word.parse::<f64>().is_ok() && !word.contains(char::is_alphabetic)
                || is_exponent(word) =>
            {
                Value::Other("a number with a sign, a fraction or an exponent")
            }
            _ => return Err(self.wrong("a text begins here without quotes")),
        };
        self.at += length;
        Ok(value)
    }

    /// A text in quotes, single ones or double; with line breaks in it or not.
    fn quoted(&mut self, lines: bool) -> Result<Zeroizing<String>, Problem> {
        let start = self.at;
        let open = |reader: &mut Self, why| {
            reader.at = start;
            Err(reader.wrong(why))
        };
        let Some(quote) = self.next() else {
            return Err(self.unexpected("a text"));
        };
        // What an escape stands for is shorter than itself, so the text never moves and leaves no copy.
        let mut text = Zeroizing::new(String::with_capacity(self.length_until(quote)));
        loop {
            let at = self.at;
            match self.next() {
                None => return open(self, "a text begins here whose closing quote is missing"),
                Some('\n' | '\r') if !lines => {
                    return open(
                        self,
                        "a text begins here that does not end on its line: its closing quote is missing, or a line break stands in it",
                    );
                }
                Some('\\') => match self.escaped() {
                    Some(character) => text.push(character),
                    // A line that goes on.
                    None if lines && matches!(self.peek(), Some('\n' | '\r')) => {}
                    None => {
                        self.at = at;
                        return Err(self.wrong("a \\ stands here before something that it does not escape (a \\ itself is written \\\\)"));
                    }
                },
                Some(character) if character == quote => return Ok(text),
                Some(character) => text.push(character),
            }
        }
    }

    /// How many bytes there are up to a quote that is not escaped.
    fn length_until(&self, quote: char) -> usize {
        let mut escaped = false;
        let ends = |character: char| {
            let ends = !escaped && character == quote;
            escaped = !escaped && character == '\\';
            ends
        };
        let rest = self.rest();
        rest.find(ends).unwrap_or(rest.len())
    }

    /// What stands behind a `\` (RFC 8259 §7).
    fn escaped(&mut self) -> Option<char> {
        let code = |text: &str| {
            let digits = text.get(..4)?;
            let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u32::from_str_radix(digits, 16).ok().filter(|_| hex)
        };
        let rest = self.rest();
        let (character, length) = match rest.chars().next()? {
            'n' => ('\n', 1),
            'r' => ('\r', 1),
            't' => ('\t', 1),
            'b' => ('\u{8}', 1),
            'f' => ('\u{c}', 1),
            same @ ('"' | '\'' | '\\' | '/') => (same, 1),
            'u' => {
                let first = code(&rest[1..])?;
                match char::from_u32(first) {
                    Some(character) => (character, 5),
                    // Two halves of one character.
                    None => {
                        let second = rest.get(5..7).filter(|sign| *sign == "\\u")?;
                        let second = code(&rest[5 + second.len()..])?;
                        let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
                        (char::decode_utf16(pair).next()?.ok()?, 11)
                    }
                }
            }
            _ => return None,
        };
        self.at += length;
        Some(character)
    }

    /// Something else stands here than what is expected.
    fn unexpected(&self, expected: &str) -> Problem {
        let found = match self.peek() {
            None => "the file ends",
            Some('"' | '\'' | '`') => "a quote stands",
            Some('“' | '”' | '‘' | '’' | '„' | '«' | '»' | '「' | '」' | '＂' | '＇') => {
                "a typographic quote stands"
            }
            Some('{') => "a { stands",
            Some('}') => "a } stands",
            Some('[') => "a [ stands",
            Some(']') => "a ] stands",
            Some(',') => "a comma stands",
            Some('，' | '：') => "a full-width comma or colon stands",
            Some(':') => "a : stands",
            Some('=') => "a = stands",
            Some('<') => "a < stands",
            Some(c) if c.is_ascii_digit() => "a number stands",
            Some(c) if c.is_alphabetic() => "a word without quotes stands",
            Some(_) => "something else stands",
        };
        self.wrong(&format!("{found} here, and {expected} is expected"))
    }

    fn wrong(&self, why: &str) -> Problem {
        let (mut line, mut column) = (1, 1);
        let mut before = self.text[..self.at].chars().peekable();
        while let Some(character) = before.next() {
            match character {
                // Of `\r\n` the second counts.
                '\r' if before.peek() == Some(&'\n') => {}
                '\n' | '\r' => (line, column) = (line + 1, 1),
                '\u{feff}' => {}
                _ => column += 1,
            }
        }
        Problem::Json {
            line,
            column,
            why: why.to_owned(),
        }
    }
}

fn is_exponent(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"eE+-.".contains(&byte))
}
