//! The members of a JSON request body.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::call::Refusal;
use crate::rules::Rule;

/// The members of a JSON body; `serde_json::Map` would keep the last of two of a name in silence.
#[derive(Debug, Default)]
pub(crate) struct Members {
    map: Map<String, Value>,
    twice: Option<String>,
}

impl Members {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.map.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// None for an absent member and for null: cozepy sends null for what is unset.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A member that came more than once.
    pub(crate) fn twice(&self) -> Option<&str> {
        self.twice.as_deref()
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<&str, Refusal> {
        let came = match self.map.get(name) {
            Some(Value::String(text)) if !text.is_empty() => return Ok(text),
            Some(Value::String(_)) => "an empty string",
            Some(value) => kind_of(value),
            None => "not there",
        };
        Err(Refusal::parameter(Rule::ParamRequired, name, came))
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

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.map.contains_key(&name) {
                        members.twice = Some(name);
                    } else {
                        members.map.insert(name, value);
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}
