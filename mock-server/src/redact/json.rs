//! Redaction of the JSON of a request: the journal keeps its shape and its open values, up to a limit.
//!
//! The result is JSON text, which takes less time and memory than a tree.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::words::has_any;
use super::{holds_credential, mask, places, scrubbed, sent_redirect_uri};
use crate::protocol::json_body::Part;

/// Members of bodies that are not secrets (protocol §2.4, §6, §15.2).
const OPEN_MEMBERS: &[&str] = &[
    "grant_type",
    "client_id",
    "redirect_uri",
    "duration_seconds",
    "scope",
    "account_id",
    "enterprise_id",
    "subject_token_type",
    "integration_name",
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

/// Members of a scope, and of a session context (protocol §5, §6).
const NAMES_BELOW: &[&str] = &[
    "account_permission",
    "permission_list",
    "attribute_constraint",
    "connector_bot_chat_attribute",
    "bot_id_list",
    "workspace_permission",
    "workspace_id_list",
    "workflow_permission",
    "workflow_id_list",
    "device_info",
    "device_id",
    "custom_consumer",
];

/// What is shown of the texts of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    Texts,
    /// Names of permissions, and ids.
    Names,
    Nothing,
}

/// Maximum number of items of an array or object.
const MOST_ITEMS: usize = 32;

/// Maximum cost of a body, header or payload in bytes: the length of its texts, and the overhead of its values.
const ROOM: usize = 4 * 1024;

const COST_OF_VALUE: usize = 16;

const COST_OF_CONTAINER: usize = 128;

pub(crate) fn members<'a>(members: impl Iterator<Item = (&'a str, Part<'a>)>) -> Vec<u8> {
    shortened(OPEN_MEMBERS, members, |copy, name, value| {
        match (name, value) {
            ("scope", value) => copy.open(value, Shows::Names),
            ("redirect_uri", Part::Text(uri)) => copy.string(&sent_redirect_uri(uri)),
            ("client_id" | "integration_name", value) => copy.flat(value, scrubbed),
            (_, value) => copy.flat(value, places::value),
        }
    })
}

pub(crate) fn claims(claims: &Map<String, Value>) -> Vec<u8> {
    let members = claims.iter();
    let members = members.map(|(name, value)| (name.as_str(), Part::from(value)));
    shortened(OPEN_CLAIMS, members, |copy, name, value| match name {
        "session_context" | "aud" => copy.open(value, Shows::Texts),
        "alg" | "typ" | "iat" | "exp" => copy.flat(value, places::value),
        _ => copy.flat(value, scrubbed),
    })
}

/// `show` writes the value of an open member.
fn shortened<'a>(
    open: &[&str],
    members: impl Iterator<Item = (&'a str, Part<'a>)>,
    show: impl Fn(&mut Shortened, &str, Part<'a>),
) -> Vec<u8> {
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
            true => show(copy, name, value),
            false => copy.hide(value),
        }
    });
    copy.json
}

pub(crate) fn member_name(name: &str) -> &str {
    let plain = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match plain && !holds_credential(name) && !places::is_mixed(name) {
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

    /// Writes a value that is not a list or an object, from a place that holds no secret.
    fn flat(&mut self, value: Part<'_>, show: impl Fn(&str) -> Cow<'_, str>) {
        match value {
            Part::Text(text) => {
                let shown = show(text);
                self.spend(shown.len());
                self.string(&shown);
            }
            Part::Other(Value::Array(_) | Value::Object(_)) => self.string("***"),
            Part::Other(other) => {
                serde_json::to_writer(&mut self.json, other).expect("it has no keys")
            }
        }
    }

    /// Writes a value from a place that holds no secret. What is below a member of an unknown name is masked.
    fn open(&mut self, value: Part<'_>, shows: Shows) {
        match value {
            Part::Text(text) => self.flat(Part::Text(text), |text| match shows {
                Shows::Texts => scrubbed(text),
                Shows::Names => places::permission(text),
                Shows::Nothing => mask(text),
            }),
            Part::Other(Value::Array(items)) => self.array(items, shows),
            Part::Other(Value::Object(members)) => {
                let members = members.iter();
                let members = members.map(|(name, value)| (name.as_str(), value.into()));
                self.object(members, |copy, name, value| {
                    let known = NAMES_BELOW.contains(&name);
                    copy.plain(if known { name } else { member_name(name) });
                    copy.json.push(b':');
                    copy.open(value, if known { shows } else { Shows::Nothing });
                });
            }
            Part::Other(Value::Number(_)) if shows == Shows::Nothing => self.string("***"),
            Part::Other(other) => {
                serde_json::to_writer(&mut self.json, other).expect("it has no keys")
            }
        }
    }

    fn array(&mut self, items: &[Value], shows: Shows) {
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
            self.open(item.into(), shows);
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
        let value = json!({
            "account_permission": { "permission_list": ["Connector.botChat", null, true] },
            "bot_id_list": vec!["7300000000000000001"; MOST_ITEMS],
        });
        assert_eq!(scope(value.clone()), value);
    }

    /// The shape of what is below an unknown name is shown, and nothing else.
    #[test]
    fn what_a_scope_does_not_have_is_masked() {
        let value = json!({
            "password": "short", "pin": 1234, "s3cret": null,
            "permission_list": ["hunter2", { "token": ["short"] }],
        });
        let shown = json!({
            "password": "***", "pin": "***", "***": null,
            "permission_list": ["***", { "token": ["***"] }],
        });
        assert_eq!(scope(value), shown);
    }

    #[test]
    fn open_members_show_what_belongs_there() {
        let body = json!({
            "grant_type": "hunter2", "client_id": "app_web", "duration_seconds": "s3cret", "account_id": { "a": "short" },
            "redirect_uri": "http://u:short@localhost/cb?token=short#short", "enterprise_id": "volcano_21",
        });
        let body = body.as_object().expect("an object");
        let shown = read(&members(
            body.iter()
                .map(|(name, value)| (name.as_str(), value.into())),
        ));
        assert_eq!(
            shown,
            json!({
                "grant_type": "***", "client_id": "app_web", "duration_seconds": "***", "account_id": "***",
                "redirect_uri": "http://***@localhost/cb?token=***#***", "enterprise_id": "volcano_21",
            })
        );
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
