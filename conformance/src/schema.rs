//! JSON Schema, as far as the schemas of this package use it. A word that it does not know is an error: what it
//! cannot hold it does not let by.

use regex::Regex;
use serde_json::{Map, Value};

/// Words that hold nothing.
const NOTES: [&str; 6] = ["$schema", "$id", "$defs", "title", "description", "then"];

/// What is wrong with `value` by the part of `root` that `pointer` names, such as `/$defs/request`.
pub(crate) fn hold(root: &Value, pointer: &str, value: &Value) -> Result<(), String> {
    let schema = root
        .pointer(pointer)
        .ok_or_else(|| format!("the schema has no {pointer}"))?;
    Holder { root }.hold(schema, value, "")
}

struct Holder<'a> {
    root: &'a Value,
}

impl Holder<'_> {
    fn hold(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let words = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Object(words) => words,
            other => return Err(format!("{at}: {other} is not a schema")),
        };
        for (word, operand) in words {
            if NOTES.contains(&word.as_str()) {
                continue;
            }
            self.word(word, operand, words, value, at)?;
        }
        Ok(())
    }

    fn word(
        &self,
        word: &str,
        operand: &Value,
        words: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let list = || operand.as_array().into_iter().flatten();
        let holds = |schema: &Value| self.hold(schema, value, at);
        let number = operand.as_f64().unwrap_or_default();
        let fits = match word {
            "$ref" => {
                let pointer = operand.as_str().and_then(|text| text.strip_prefix('#'));
                let schema = pointer.and_then(|pointer| self.root.pointer(pointer));
                return holds(schema.ok_or_else(|| format!("no {operand} in the schema"))?);
            }
            "allOf" => return list().try_for_each(holds),
            "anyOf" => {
                let wrong: Vec<_> = list().map_while(|schema| holds(schema).err()).collect();
                return match wrong.len() == list().count() {
                    true => Err(wrong.join(", or ")),
                    false => Ok(()),
                };
            }
            "oneOf" => list().filter(|schema| holds(schema).is_ok()).count() == 1,
            "not" => holds(operand).is_err(),
            "if" => match (holds(operand), words.get("then")) {
                (Ok(()), Some(then)) => return holds(then),
                _ => true,
            },
            "type" => match operand {
                Value::String(name) => is(name, value),
                _ => list().filter_map(Value::as_str).any(|name| is(name, value)),
            },
            "enum" => list().any(|known| known == value),
            "const" => operand == value,
            "properties" => return self.members(operand, value, at),
            "additionalProperties" => return self.others(operand, words, value, at),
            "propertyNames" => {
                let names = value.as_object().into_iter().flatten();
                return names
                    .map(|(name, _)| Value::from(name.as_str()))
                    .try_for_each(|name| self.hold(operand, &name, at));
            }
            "required" => {
                let missing = list().filter_map(Value::as_str).find(|name| {
                    value
                        .as_object()
                        .is_some_and(|members| !members.contains_key(*name))
                });
                return missing.map_or(Ok(()), |name| Err(format!("{at}: {name} is missing")));
            }
            "items" => {
                let mut items = value.as_array().into_iter().flatten().enumerate();
                return items.try_for_each(|(index, item)| {
                    self.hold(operand, item, &format!("{at}/{index}"))
                });
            }
            "minimum" => value.as_f64().is_none_or(|value| value >= number),
            "maximum" => value.as_f64().is_none_or(|value| value <= number),
            "minLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as f64 >= number),
            "maxLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as f64 <= number),
            "minItems" => value
                .as_array()
                .is_none_or(|items| items.len() as f64 >= number),
            "maxItems" => value
                .as_array()
                .is_none_or(|items| items.len() as f64 <= number),
            "minProperties" => value
                .as_object()
                .is_none_or(|all| all.len() as f64 >= number),
            "maxProperties" => value
                .as_object()
                .is_none_or(|all| all.len() as f64 <= number),
            "uniqueItems" => value.as_array().is_none_or(|items| {
                items
                    .iter()
                    .enumerate()
                    .all(|(index, item)| !items[..index].contains(item))
            }),
            "pattern" => {
                let pattern = Regex::new(operand.as_str().unwrap_or_default());
                let pattern = pattern.map_err(|error| error.to_string())?;
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            _ => {
                return Err(format!(
                    "the schema has the word {word}, which is not known here"
                ));
            }
        };
        match fits {
            true => Ok(()),
            false => Err(format!("{at}: not {word} {operand}")),
        }
    }

    fn members(&self, schemas: &Value, value: &Value, at: &str) -> Result<(), String> {
        for (name, member) in value.as_object().into_iter().flatten() {
            if let Some(schema) = schemas.get(name) {
                self.hold(schema, member, &format!("{at}/{name}"))?;
            }
        }
        Ok(())
    }

    /// Members that `properties` does not name.
    fn others(
        &self,
        operand: &Value,
        words: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let is_known = |name: &str| {
            words
                .get("properties")
                .is_some_and(|known| known.get(name).is_some())
        };
        for (name, member) in value.as_object().into_iter().flatten() {
            if is_known(name) {
                continue;
            }
            if *operand == Value::Bool(false) {
                return Err(format!("{at}: {name} is not allowed"));
            }
            self.hold(operand, member, &format!("{at}/{name}"))?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::hold;

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        let schema = json!({
            "type": "object",
            "properties": { "n": { "type": "integer", "minimum": 1 }, "t": { "enum": ["a"] } },
            "required": ["n"],
            "additionalProperties": false,
        });
        let held = |value| hold(&schema, "", &value);
        assert_eq!(held(json!({ "n": 1, "t": "a" })), Ok(()));
        assert_eq!(held(json!({ "n": 0 })), Err("/n: not minimum 1".to_owned()));
        assert_eq!(
            held(json!({ "n": 1, "x": 1 })),
            Err(": x is not allowed".to_owned())
        );
        assert_eq!(held(json!({})), Err(": n is missing".to_owned()));
        assert!(held(json!({ "n": 1, "t": "b" })).is_err());
    }

    #[test]
    fn alternatives_and_conditions() {
        let schema = json!({
            "anyOf": [{ "type": "string" }, { "const": 1 }],
            "if": { "type": "string" }, "then": { "maxLength": 2 },
        });
        let held = |value| hold(&schema, "", &value).is_ok();
        assert!(held(json!("ab")) && held(json!(1)));
        assert!(!held(json!("abc")) && !held(json!(2)));
        assert!(hold(&json!({ "oneOf": [true, true] }), "", &json!(1)).is_err());
    }

    #[test]
    fn an_unknown_word_holds_nothing_and_says_so() {
        assert!(hold(&json!({ "multipleOf": 2 }), "", &json!(4)).is_err());
    }
}
