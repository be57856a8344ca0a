//! JSON Schema, as far as the answers of the OpenAPI document use it. A keyword that is not known here is an error: what
//! it asks for would otherwise pass unchecked.

use regex::Regex;
use serde_json::{Map, Value};

/// Keywords that describe. `just openapi` checks formats.
const NOTES: [&str; 3] = ["title", "description", "format"];

/// Says where `value` does not fit `schema`, which may refer to other parts of `document`.
pub(crate) fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    Checker { document }.check(schema, value, "")
}

struct Checker<'a> {
    document: &'a Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let keywords = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("{at} is not documented")),
            schema => schema.as_object().expect("a schema"),
        };
        for (keyword, operand) in keywords {
            if !NOTES.contains(&keyword.as_str()) {
                self.keyword(keyword, operand, keywords, value, at)?;
            }
        }
        Ok(())
    }

    fn keyword(
        &self,
        keyword: &str,
        operand: &Value,
        keywords: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let list = || operand.as_array().into_iter().flatten();
        let members = || value.as_object().into_iter().flatten();
        let check = |schema| self.check(schema, value, at);
        let bound = || operand.as_u64().expect("a number");
        let length = || value.as_str().map(|text| text.chars().count() as u64);
        let holds = match keyword {
            "$ref" => {
                let pointer = operand.as_str().and_then(|to| to.strip_prefix('#'));
                let schema = pointer.and_then(|pointer| self.document.pointer(pointer));
                return check(schema.expect("what it refers to"));
            }
            "allOf" => return list().try_for_each(check),
            "anyOf" => list().any(|schema| check(schema).is_ok()),
            "oneOf" => list().filter(|schema| check(schema).is_ok()).count() == 1,
            "type" => match operand {
                Value::String(name) => is(name, value),
                _ => list().filter_map(Value::as_str).any(|name| is(name, value)),
            },
            "enum" => list().any(|known| known == value),
            "const" => operand == value,
            "required" => {
                let mut names = list().filter_map(Value::as_str);
                match names.find(|name| value.is_object() && value.get(name).is_none()) {
                    Some(name) => return Err(format!("{at}/{name} is missing")),
                    None => true,
                }
            }
            "properties" => {
                return members().try_for_each(|(name, member)| match operand.get(name) {
                    Some(schema) => self.check(schema, member, &format!("{at}/{name}")),
                    None => Ok(()),
                });
            }
            "additionalProperties" => {
                let named = |name: &str| {
                    let properties = keywords.get("properties");
                    properties.is_some_and(|properties| properties.get(name).is_some())
                };
                return members().filter(|(name, _)| !named(name)).try_for_each(
                    |(name, member)| self.check(operand, member, &format!("{at}/{name}")),
                );
            }
            "propertyNames" => {
                return members()
                    .try_for_each(|(name, _)| self.check(operand, &name.as_str().into(), at));
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                let mut each =
                    items.map(|(n, item)| self.check(operand, item, &format!("{at}/{n}")));
                return each.try_for_each(|checked| checked);
            }
            "minimum" => value.as_f64() >= operand.as_f64() || !value.is_number(),
            "maximum" => value.as_f64() <= operand.as_f64() || !value.is_number(),
            "minItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 >= bound()),
            "minLength" => length().is_none_or(|length| length >= bound()),
            "maxLength" => length().is_none_or(|length| length <= bound()),
            "pattern" => {
                let pattern = Regex::new(operand.as_str().expect("a text")).expect("a pattern");
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            _ => {
                return Err(format!(
                    "{at}: the tests' schema.rs does not know the keyword {keyword}"
                ));
            }
        };
        match holds {
            true => Ok(()),
            false => Err(format!("{at} is not as {keyword} {operand} asks")),
        }
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
