//! A change of one member of a good answer.

use serde_json::{Value, json};

use crate::limits::{MAX_FAULT_BODY, MAX_PARAMETER};
use crate::protocol::response::Reply;

/// What a fault puts in the place of one member of a good answer. A change that makes no sense of the member's value, such as
/// milliseconds of a text, leaves the answer alone, and the fault does not act.
///
/// ```
/// use coze_auth_mock::{CozeAuthMock, Fault, MemberChange, On};
///
/// let mock = CozeAuthMock::builder().build()?;
/// # let get = || {
/// #     let request = http::Request::get("/v1/users/me").header("Authorization", "Bearer pat_mock_alice");
/// #     let body = mock.call_blocking(request.body(bytes::Bytes::new()).unwrap()).into_body();
/// #     serde_json::from_slice::<serde_json::Value>(&body).unwrap()
/// # };
/// let nameless = Fault::member("data.user_name", MemberChange::Absent);
/// let _fault = mock.fault(On::endpoint("users_me"), nameless);
/// assert!(get()["data"].get("user_name").is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MemberChange {
    /// The member is not there.
    Absent,
    /// Null.
    Null,
    /// The same value as a text: `"1790000000"`.
    String,
    /// The same number and a half: `1790000000.5`; of anything else `0.5`.
    Float,
    /// The number a thousand times, as if seconds were milliseconds.
    Milliseconds,
    /// A number of 30 digits, or a text of 100,000 letters.
    TooLarge,
    /// A value of another type: a list with the value, or a text for a list or an object.
    OtherType,
    /// This value. An object that does not have the member gets it.
    Value(Value),
}

impl MemberChange {
    const NAMED: [(&'static str, Self); 7] = [
        ("absent", Self::Absent),
        ("null", Self::Null),
        ("string", Self::String),
        ("float", Self::Float),
        ("milliseconds", Self::Milliseconds),
        ("too_large", Self::TooLarge),
        ("other_type", Self::OtherType),
    ];

    pub(crate) const NAMES: [&'static str; 7] = {
        let mut names = [""; 7];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::NAMED[at].0;
            at += 1;
        }
        names
    };

    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let mut all = Self::NAMED.into_iter();
        let found = all.find(|(known, _)| *known == name);
        found
            .map(|(_, change)| change)
            .ok_or_else(|| format!("to is one of {}", Self::NAMES.join(", ")))
    }

    fn name(&self) -> &'static str {
        let found = Self::NAMED.iter().find(|(_, change)| change == self);
        found.map_or("another value", |(name, _)| name)
    }

    /// The value in place of this one, or none if it is left out; an error if there is nothing to change.
    fn of(&self, value: &Value) -> Result<Option<Value>, ()> {
        let number = value.is_number();
        Ok(Some(match (self, value) {
            (Self::Absent, _) => return Ok(None),
            (Self::Null, Value::Null) => return Err(()),
            (Self::Null, _) => Value::Null,
            (Self::String, Value::String(_)) => return Err(()),
            (Self::String, other) => other.to_string().into(),
            (Self::Float, value) => json!(value.as_f64().unwrap_or(0.0) + 0.5),
            (Self::Milliseconds, value) => {
                json!(
                    value
                        .as_u64()
                        .and_then(|n| n.checked_mul(1_000))
                        .ok_or(())?
                )
            }
            (Self::TooLarge, _) if number => TOO_LARGE.into(),
            (Self::TooLarge, Value::String(_)) => "x".repeat(100_000).into(),
            (Self::TooLarge, _) => return Err(()),
            (Self::OtherType, Value::Array(_) | Value::Object(_)) => "another type".into(),
            (Self::OtherType, value) => json!([value]),
            (Self::Value(new), _) => new.clone(),
        }))
    }
}

/// Stands for a number that `serde_json` cannot hold, while the answer is written.
const TOO_LARGE: &str = "coze-auth-mock: a number of 30 digits";

/// A member, by its names with stops between them, and its change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    path: String,
    change: MemberChange,
}

impl Member {
    pub(crate) fn new(path: &str, change: MemberChange) -> Result<Self, String> {
        if let MemberChange::Value(value) = &change
            && value.to_string().len() > MAX_FAULT_BODY
        {
            return Err(format!("value has at most {MAX_FAULT_BODY} bytes"));
        }
        match path.is_empty() || path.len() > MAX_PARAMETER {
            true => Err(
                "member is a name such as expires_in, or names with stops such as data.user_id"
                    .to_owned(),
            ),
            false => Ok(Self {
                path: path.to_owned(),
                change,
            }),
        }
    }

    /// Number of bytes that it takes, about: a value in memory is larger than its text.
    pub(crate) fn bytes(&self) -> usize {
        let value = match &self.change {
            MemberChange::Value(value) => 8 * value.to_string().len(),
            _ => 0,
        };
        size_of::<Self>() + self.path.len() + value
    }

    /// For explanations: `expires_in: milliseconds`.
    pub(crate) fn describe(&self) -> String {
        format!("{}: {}", self.path, self.change.name())
    }

    /// The changed body of an answer, if the answer is a good one and has this member.
    pub(crate) fn changed(&self, reply: &Reply) -> Option<String> {
        let good = reply.status().is_success();
        let mut body: Value = serde_json::from_slice(reply.body()).ok().filter(|_| good)?;
        let (above, name) = match self.path.rsplit_once('.') {
            Some((above, name)) => (format!("/{}", above.replace('.', "/")), name),
            None => (String::new(), &*self.path),
        };
        match body.pointer_mut(&above)? {
            // What a good answer does not have can be added to it, such as an error that is null.
            Value::Object(members) if !members.contains_key(name) => match &self.change {
                MemberChange::Value(new) => drop(members.insert(name.to_owned(), new.clone())),
                _ => return None,
            },
            Value::Object(members) => match self.change.of(members.get(name)?).ok()? {
                Some(new) => drop(members.insert(name.to_owned(), new)),
                None => drop(members.remove(name)),
            },
            Value::Array(items) => {
                let at: usize = name.parse().ok()?;
                match self.change.of(items.get(at)?).ok()? {
                    Some(new) => items[at] = new,
                    None => drop(items.remove(at)),
                }
            }
            _ => return None,
        }
        let text = body.to_string();
        Some(text.replacen(&format!("{TOO_LARGE:?}"), &"9".repeat(30), 1))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::protocol::response::json_reply;

    #[test]
    fn each_change_is_what_its_name_says() {
        let body = r#"{"a":{"n":1790000000,"t":"x","l":[1],"z":null}}"#;
        let reply = json_reply(StatusCode::OK, body);
        let changed = |path: &str, change: MemberChange| {
            Member::new(path, change).expect("a member").changed(&reply)
        };
        let long = format!(
            "[1]\",\"n\":1790000000,\"t\":\"{}\",\"z\":null",
            "x".repeat(100_000)
        )
        .replace("[1]\"", "[1]");
        for (path, change, expected) in [
            (
                "a.n",
                MemberChange::Absent,
                Some(r#"{"a":{"l":[1],"t":"x","z":null}}"#),
            ),
            (
                "a.n",
                MemberChange::String,
                Some(r#"{"a":{"l":[1],"n":"1790000000","t":"x","z":null}}"#),
            ),
            (
                "a.n",
                MemberChange::Float,
                Some(r#"{"a":{"l":[1],"n":1790000000.5,"t":"x","z":null}}"#),
            ),
            (
                "a.n",
                MemberChange::Milliseconds,
                Some(r#"{"a":{"l":[1],"n":1790000000000,"t":"x","z":null}}"#),
            ),
            (
                "a.n",
                MemberChange::TooLarge,
                Some(r#"{"a":{"l":[1],"n":999999999999999999999999999999,"t":"x","z":null}}"#),
            ),
            (
                "a.n",
                MemberChange::OtherType,
                Some(r#"{"a":{"l":[1],"n":[1790000000],"t":"x","z":null}}"#),
            ),
            (
                "a.n",
                MemberChange::Null,
                Some(r#"{"a":{"l":[1],"n":null,"t":"x","z":null}}"#),
            ),
            (
                "a.n",
                MemberChange::Value(json!(true)),
                Some(r#"{"a":{"l":[1],"n":true,"t":"x","z":null}}"#),
            ),
            (
                "a.t",
                MemberChange::Float,
                Some(r#"{"a":{"l":[1],"n":1790000000,"t":0.5,"z":null}}"#),
            ),
            (
                "a.t",
                MemberChange::TooLarge,
                Some(&*format!("{{\"a\":{{\"l\":{long}}}}}")),
            ),
            (
                "a.l",
                MemberChange::OtherType,
                Some(r#"{"a":{"l":"another type","n":1790000000,"t":"x","z":null}}"#),
            ),
            (
                "a.l.0",
                MemberChange::Absent,
                Some(r#"{"a":{"l":[],"n":1790000000,"t":"x","z":null}}"#),
            ),
            ("a.t", MemberChange::String, None),
            ("a.t", MemberChange::Milliseconds, None),
            ("a.l", MemberChange::TooLarge, None),
            ("a.z", MemberChange::Null, None),
            (
                "a.e",
                MemberChange::Value(Value::Null),
                Some(r#"{"a":{"e":null,"l":[1],"n":1790000000,"t":"x","z":null}}"#),
            ),
            ("b.e", MemberChange::Value(Value::Null), None),
            ("a.none", MemberChange::Absent, None),
            ("b.n", MemberChange::Absent, None),
            ("a.l.1", MemberChange::Absent, None),
        ] {
            assert_eq!(
                changed(path, change.clone()).as_deref(),
                expected,
                "{path} {change:?}"
            );
        }
        let refused = json_reply(StatusCode::BAD_REQUEST, body);
        let member = Member::new("a", MemberChange::Absent).expect("a member");
        assert_eq!(member.changed(&refused), None, "a refusal is left alone");
    }
}
