//! The members of a request body, which is JSON or a form.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use url::form_urlencoded;

use super::refusal::Refusal;
use super::rules::Rule;

/// The members of a body, which borrow its texts. `serde_json::Map` would silently keep the last of two members of one
/// name.
#[derive(Debug, Default)]
pub(crate) struct JsonObject<'a> {
    /// The members in the order of their names.
    all: Vec<(Cow<'a, str>, Read<'a>)>,
    twice: Option<Cow<'a, str>>,
}

#[derive(Debug)]
enum Read<'a> {
    Text(Cow<'a, str>),
    Other(Value),
}

/// The value of a member.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    Text(&'a str),
    /// A value that is not a string.
    Other(&'a Value),
}

impl<'a> From<&'a Value> for Part<'a> {
    fn from(value: &'a Value) -> Self {
        value.as_str().map_or(Self::Other(value), Self::Text)
    }
}

impl<'a> Part<'a> {
    pub(crate) const fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }

    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Other(value) => kind_of(value),
        }
    }
}

impl Read<'_> {
    fn part(&self) -> Part<'_> {
        match self {
            Self::Text(text) => Part::Text(text),
            Self::Other(value) => Part::Other(value),
        }
    }
}

impl<'a> JsonObject<'a> {
    /// The members of a form, each of which is a text.
    pub(crate) fn of_form(body: &'a [u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        Self::of(
            pairs
                .map(|(name, value)| (name, Read::Text(value)))
                .collect(),
        )
    }

    fn of(mut all: Vec<(Cow<'a, str>, Read<'a>)>) -> Self {
        // The sort is stable: of two members of one name the first stays first.
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut twice = None;
        all.dedup_by(|(name, _), (first, _)| {
            let again = name == first;
            if again {
                twice = Some(first.clone());
            }
            again
        });
        Self { all, twice }
    }
}

impl JsonObject<'_> {
    /// The members in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Part<'_>)> {
        self.all.iter().map(|(name, value)| (&**name, value.part()))
    }

    fn part(&self, name: &str) -> Option<Part<'_>> {
        let at = self.all.binary_search_by(|(known, _)| (**known).cmp(name));
        Some(self.all[at.ok()?].1.part())
    }

    /// The value of a member; none if it is absent or null, since cozepy sends null for unset values.
    pub(crate) fn get(&self, name: &str) -> Option<Part<'_>> {
        let part = self.part(name)?;
        (!matches!(part, Part::Other(Value::Null))).then_some(part)
    }

    /// The name of a member that the body has more than once.
    pub(crate) fn twice(&self) -> Option<&str> {
        self.twice.as_deref()
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<&str, Refusal> {
        let actual = match self.part(name) {
            Some(Part::Text("")) => "an empty string",
            Some(Part::Text(text)) => return Ok(text),
            Some(other) => other.kind(),
            None => "not there",
        };
        Err(Refusal::parameter(Rule::ParamRequired, name, actual))
    }
}

pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl<'de> Deserialize<'de> for JsonObject<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = JsonObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonObject<'de>, A::Error> {
                let mut all = Vec::with_capacity(8);
                while let Some((name, value)) = map.next_entry::<Name<'de>, Read<'de>>()? {
                    all.push((name.0, value));
                }
                Ok(JsonObject::of(all))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// By hand, as an untagged enum reads every value into a tree of its own first.
impl<'de> Deserialize<'de> for Read<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Read<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Read::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Read::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Read::Other(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Read::Other(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Read::Other(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Read::Other(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Read::Other(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                Value::deserialize(SeqAccessDeserializer::new(items)).map(Read::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                Value::deserialize(MapAccessDeserializer::new(members)).map(Read::Other)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
