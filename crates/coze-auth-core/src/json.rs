//! JSON that holds secrets, read without leaving copies behind.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroize as _;

/// A JSON value that borrows from the body, so that secrets are not copied where nobody wipes them.
pub(crate) enum Json<'a> {
    Null,
    Integer(i64),
    Text(Cow<'a, str>),
    Object(Vec<(Cow<'a, str>, Self)>),
    /// A bool, a fraction, an array, a number beyond `i64`: nothing that we read.
    Other,
}

/// A member is there twice, so nobody can say which one is meant.
#[derive(Debug)]
pub(crate) struct Repeated;

impl<'a> Json<'a> {
    /// A member of an object, unless it is `null`.
    pub(crate) fn member(&self, name: &str) -> Result<Option<&Self>, Repeated> {
        let Self::Object(members) = self else {
            return Ok(None);
        };
        let mut found = members
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Repeated),
            (first, None) => Ok(first.filter(|value| !matches!(value, Self::Null))),
        }
    }

    /// A member of an object, out of it; `Null` if there is none.
    pub(crate) fn take(mut self, name: &str) -> Self {
        match &mut self {
            Self::Object(members) => match members.iter().position(|(key, _)| key == name) {
                Some(at) => members.swap_remove(at).1,
                None => Self::Null,
            },
            _ => Self::Null,
        }
    }
}

impl Drop for Json<'_> {
    fn drop(&mut self) {
        // A text with an escape in it had to be copied.
        match self {
            Self::Text(Cow::Owned(text)) if !text.is_empty() => text.zeroize(),
            _ => {}
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(number.try_into().map_or(Json::Other, Json::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Json::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        // Room for every answer of Coze's.
        let mut members = Vec::with_capacity(8);
        while let Some(Json::Text(name)) = entries.next_key()?.as_mut() {
            members.push((std::mem::take(name), entries.next_value()?));
        }
        Ok(Json::Object(members))
    }
}
