//! Redaction of the JSON of a request: the journal keeps its shape and its open values, up to a limit.
//!
//! The result is JSON text, which takes less time and memory than a tree.

use serde_json::{Map, Value};

use super::words::has_any;
use super::{holds_credential, mask, scrubbed};
use crate::protocol::json_body::Part;

/// Members of token and device bodies that are not secrets (protocol §2.4, §6).
const OPEN_MEMBERS: &[&str] = &[
    "grant_type",
    "client_id",
    "redirect_uri",
    "duration_seconds",
    "scope",
    "account_id",
    "enterprise_id",
];

/// Claims and header members of an assertion that are not secrets (protocol §5). A `jti` is spent after its first use.
const OPEN_CLAIMS: &[&str] = &[
    "alg",
    "typ",
    "kid",
    "iss",
    "aud",
    "iat",
    "exp",
    "jti",
    "session_name",
    "session_context",
];

/// Maximum number of items of an array or object.
const MOST_ITEMS: usize = 32;

/// Maximum cost of a body, header or payload in bytes: the length of its texts, and the overhead of its values.
const ROOM: usize = 4 * 1024;

const COST_OF_VALUE: usize = 16;

const COST_OF_CONTAINER: usize = 128;

pub(crate) fn members<'a>(members: impl Iterator<Item = (&'a str, Part<'a>)>) -> Vec<u8> {
    shortened(OPEN_MEMBERS, members)
}

pub(crate) fn claims(claims: &Map<String, Value>) -> Vec<u8> {
    let members = claims.iter();
    let members = members.map(|(name, value)| (name.as_str(), Part::from(value)));
    shortened(OPEN_CLAIMS, members)
}

fn shortened<'a>(open: &[&str], members: impl Iterator<Item = (&'a str, Part<'a>)>) -> Vec<u8> {
    let mut copy = Shortened {
        room: ROOM,
        json: Vec::with_capacity(256),
    };
    copy.object(members, |copy, name, value| {
        let open = open.contains(&name);
        let name = if open { name } else { member_name(name) };
        copy.plain(name);
        copy.json.push(b':');
        match open {
            true => copy.open(value),
            false => copy.hide(value),
        }
    });
    copy.json
}

pub(crate) fn member_name(name: &str) -> &str {
    let plain = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match plain && !holds_credential(name) {
        true => name,
        false => "***",
    }
}

/// A redacted copy while it is written.
struct Shortened {
    room: usize,
    json: Vec<u8>,
}

impl Shortened {
    const fn spend(&mut self, bytes: usize) {
        self.room = self.room.saturating_sub(bytes);
    }

    fn string(&mut self, text: &str) {
        // What JSON escapes (RFC 8259 §7). Most texts have nothing of it, which is found faster than they are written with care.
        if !has_any(text, |byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
            return self.plain(text);
        }
        serde_json::to_writer(&mut self.json, text).expect("writing to memory does not fail");
    }

    /// Writes a text that needs no escapes in JSON, such as a member's name.
    fn plain(&mut self, text: &str) {
        for part in ["\"", text, "\""] {
            self.json.extend_from_slice(part.as_bytes());
        }
    }

    /// Writes a mask instead of the value. Null is shown, so that it can be distinguished from an absent member.
    fn hide(&mut self, value: Part<'_>) {
        match value {
            Part::Text("") => self.string(""),
            Part::Text(secret) => self.string(&mask(secret)),
            Part::Other(Value::Null) => self.json.extend_from_slice(b"null"),
            Part::Other(_) => self.string("***"),
        }
    }

    /// Writes a value from a place that holds no secret.
    fn open(&mut self, value: Part<'_>) {
        match value {
            Part::Text(text) => self.text(text),
            Part::Other(Value::Array(items)) => self.array(items),
            Part::Other(Value::Object(members)) => {
                let members = members.iter();
                let members = members.map(|(name, value)| (name.as_str(), value.into()));
                self.object(members, |copy, name, value| {
                    copy.text(name);
                    copy.json.push(b':');
                    copy.open(value);
                });
            }
            Part::Other(other) => {
                serde_json::to_writer(&mut self.json, other).expect("it has no keys")
            }
        }
    }

    fn text(&mut self, text: &str) {
        let shown = scrubbed(text);
        self.spend(shown.len());
        self.string(&shown);
    }

    fn array(&mut self, items: &[Value]) {
        self.spend(COST_OF_CONTAINER);
        self.json.push(b'[');
        for (taken, item) in items.iter().enumerate() {
            if taken > 0 {
                self.json.push(b',');
            }
            if taken == MOST_ITEMS || self.room == 0 {
                let more = items.len() - taken;
                self.string(&format!("… {more} more"));
                break;
            }
            self.spend(COST_OF_VALUE);
            self.open(item.into());
        }
        self.json.push(b']');
    }

    fn object<'a>(
        &mut self,
        members: impl Iterator<Item = (&'a str, Part<'a>)>,
        mut show: impl FnMut(&mut Self, &str, Part<'a>),
    ) {
        self.spend(COST_OF_CONTAINER);
        self.json.push(b'{');
        let (mut taken, mut left_out) = (0, 0_usize);
        for (name, value) in members {
            if taken == MOST_ITEMS || self.room == 0 {
                left_out += 1;
                continue;
            }
            if taken > 0 {
                self.json.push(b',');
            }
            taken += 1;
            self.spend(COST_OF_VALUE);
            show(self, name, value);
        }
        if left_out > 0 {
            if taken > 0 {
                self.json.push(b',');
            }
            self.string("…");
            self.json.push(b':');
            self.string(&format!("{left_out} more"));
        }
        self.json.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(json: &[u8]) -> Value {
        serde_json::from_slice(json).expect("JSON")
    }

    fn scope(value: Value) -> Value {
        let shown = members([("scope", Part::from(&value))].into_iter());
        read(&shown)["scope"].clone()
    }

    #[test]
    fn a_small_body_is_kept_whole() {
        let value = json!({ "a": { "b": [1, "x", null, true] }, "c": vec![0; MOST_ITEMS] });
        assert_eq!(scope(value.clone()), value);
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let items = scope(json!(vec!["x"; 102]));
        assert_eq!(items.as_array().map(Vec::len), Some(33));
        assert_eq!(items[32], "… 70 more");

        let object: Map<_, _> = (0..102).map(|n| (format!("m{n:03}"), json!(n))).collect();
        let shown = scope(Value::Object(object.clone()));
        assert_eq!(shown.as_object().map(Map::len), Some(33));
        assert_eq!(shown["…"], "70 more");
        let shown = read(&claims(&object));
        assert_eq!(shown["…"], "70 more", "{shown}");
        let all = object
            .iter()
            .map(|(name, value)| (name.as_str(), value.into()));
        assert_eq!(read(&members(all))["…"], "70 more");
    }

    /// 32 of 32 of 32 would still be much.
    #[test]
    fn the_whole_is_bounded_however_it_is_nested() {
        let wide = |leaf: Value| json!(vec![json!(vec![leaf; 30]); 30]);
        let mut deep = json!("x");
        for _ in 0..100 {
            deep = json!({ "a": deep });
        }
        for value in [
            wide(json!("long words are text too ".repeat(6))),
            wide(json!(1)),
            wide(json!({ "": {} })),
            json!(vec![deep; 30]),
        ] {
            let shown = scope(value).to_string();
            assert!(shown.len() < ROOM + 1024, "{} bytes", shown.len());
            assert!(shown.contains(" more"), "{shown}");
        }
    }
}
