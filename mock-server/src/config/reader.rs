//! Reads values of a TOML document, and collects the mistakes.

use std::collections::HashSet;

use toml::de::DeValue;

use super::errors::{ConfigError, ConfigErrors};
use super::suggest::did_you_mean;
use super::table::{Table, Value, as_table, kind_of};
use super::target::For;
use super::time::parse_duration;
use crate::redact;

pub(super) struct Reader<'t> {
    text: &'t str,
    pub(super) whom: For,
    errors: Vec<ConfigError>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, whom: For) -> Self {
        let errors = Vec::new();
        Self { text, whom, errors }
    }

    pub(super) fn errors(&mut self) -> ConfigErrors {
        ConfigErrors::new(std::mem::take(&mut self.errors))
    }

    /// Adds a mistake at this byte.
    pub(super) fn wrong(&mut self, at: usize, message: impl Into<String>) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        // A file that is not a configuration may be a key.
        let message = message.into();
        let message = redact::without_keys(&message, self.text).into_owned();
        self.errors.push(ConfigError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
        });
    }

    /// Adds a syntax error, unless its line has a mistake already: one often causes others.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        let line = |at: usize| {
            self.text
                .get(..at)
                .map(|before| before.matches('\n').count() + 1)
        };
        if self.errors.iter().any(|other| Some(other.line) == line(at)) {
            return;
        }
        let message = match error.message() {
            "duplicate key" => "duplicate key; remove one of the two".to_owned(),
            message => format!("this is not TOML: {message}"),
        };
        self.wrong(at, message);
    }

    /// Adds a mistake for each key that is not among `known`.
    pub(super) fn keys(&mut self, table: &Table<'_, '_>, known: &[&str]) {
        for (key, _) in table.entries {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let right = match did_you_mean(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("expected one of {}", known.join(", ")),
            };
            let text = format!("unknown key {name:?} in {}; {right}", table.name);
            self.wrong(key.span().start, text);
        }
    }

    pub(super) fn expected(&mut self, key: &str, value: &Value<'_>, expected: &str) {
        let actual = kind_of(value.get_ref());
        let text = format!("{key} is {actual}; expected {expected}");
        self.wrong(value.span().start, text);
    }

    pub(super) fn table<'a, 'i>(
        &mut self,
        above: &Table<'a, 'i>,
        key: &str,
        name: &'a str,
    ) -> Option<Table<'a, 'i>> {
        let value = above.value(key)?;
        let found = as_table(value, name);
        if found.is_none() {
            self.expected(key, value, &format!("a table, {name}"));
        }
        found
    }

    /// Returns the tables of `[[key]]`, or none if the key is absent.
    pub(super) fn tables<'a, 'i>(
        &mut self,
        above: &Table<'a, 'i>,
        key: &str,
        name: &'a str,
    ) -> Option<Vec<Table<'a, 'i>>> {
        let value = above.value(key)?;
        let DeValue::Array(all) = value.get_ref() else {
            self.expected(key, value, &format!("tables, {name} each"));
            return None;
        };
        let mut tables = Vec::new();
        for value in all.iter() {
            match as_table(value, name) {
                Some(table) => tables.push(table),
                None => self.expected(key, value, &format!("tables, {name} each")),
            }
        }
        Some(tables)
    }

    /// Returns a string that is not empty, and its place.
    pub(super) fn text<'a>(
        &mut self,
        table: &Table<'a, '_>,
        key: &str,
        example: &str,
    ) -> Option<(&'a str, usize)> {
        let value = table.value(key)?;
        match value.get_ref() {
            DeValue::String(text) if !text.is_empty() => Some((text, value.span().start)),
            DeValue::String(_) => {
                let text = format!("{key} is empty; expected a string such as {example}");
                self.wrong(value.span().start, text);
                None
            }
            _ => {
                self.expected(key, value, &format!("a string such as {example}"));
                None
            }
        }
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        table: &Table<'_, '_>,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let value = table.value(key)?;
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let known = names.iter().map(|name| format!("{name:?}"));
        let known = known.collect::<Vec<_>>().join(", ");
        let DeValue::String(text) = value.get_ref() else {
            self.expected(key, value, &format!("one of {known}"));
            return None;
        };
        let found = choices.iter().find(|(name, _)| name == text);
        if found.is_none() {
            let right = match did_you_mean(text, names) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("expected one of {known}"),
            };
            let text = format!("{key} cannot be {text:?}; {right}");
            self.wrong(value.span().start, text);
        }
        found.map(|(_, choice)| *choice)
    }

    pub(super) fn number(
        &mut self,
        table: &Table<'_, '_>,
        key: &str,
        least: u64,
        most: u64,
    ) -> Option<u64> {
        let value = table.value(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            let example = least.max(42).min(most);
            self.expected(key, value, &format!("a whole number such as {example}"));
            return None;
        };
        let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let fits = parsed.filter(|number| (least..=most).contains(number));
        if fits.is_none() {
            let text = format!("{key} is {number}; expected a whole number from {least} to {most}");
            self.wrong(value.span().start, text);
        }
        fits
    }

    /// Returns whole seconds from a number, or from a duration such as "15m".
    pub(super) fn seconds(&mut self, table: &Table<'_, '_>, key: &str, most: u64) -> Option<u64> {
        let value = table.value(key)?;
        let text = match value.get_ref() {
            DeValue::Integer(_) => return self.number(table, key, 1, most),
            DeValue::String(text) => text,
            _ => {
                self.expected(key, value, "seconds or a time such as \"15m\"");
                return None;
            }
        };
        let time = match parse_duration(text) {
            Ok(time) => time,
            Err(problem) => {
                self.wrong(value.span().start, format!("{key}: {problem}"));
                return None;
            }
        };
        let whole = time.subsec_millis() == 0 && (1..=most).contains(&time.as_secs());
        if !whole {
            let text = format!("{key} is {text:?}; expected whole seconds from 1 to {most}");
            self.wrong(value.span().start, text);
        }
        whole.then_some(time.as_secs())
    }

    /// Returns strings that are not empty, with their places.
    pub(super) fn list(
        &mut self,
        table: &Table<'_, '_>,
        key: &str,
        example: &str,
    ) -> Option<Vec<(String, usize)>> {
        let value = table.value(key)?;
        let expected = format!("a list of strings such as {example}");
        let DeValue::Array(all) = value.get_ref() else {
            self.expected(key, value, &expected);
            return None;
        };
        let mut list = Vec::new();
        for value in all.iter() {
            match value.get_ref() {
                DeValue::String(text) if !text.is_empty() => {
                    list.push((text.to_string(), value.span().start));
                }
                other => {
                    let actual = match other {
                        DeValue::String(_) => "an empty string",
                        other => kind_of(other),
                    };
                    let text = format!("{key} has {actual} in it; expected {expected}");
                    self.wrong(value.span().start, text);
                }
            }
        }
        Some(list)
    }
}

/// Returns a required string without spaces that is unique among those in `seen`.
pub(super) fn id(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    key: &str,
    example: &str,
    seen: &mut HashSet<String>,
    secret: bool,
) -> Option<String> {
    if table.value(key).is_none() {
        let text = format!("{} without {key}; expected {key} = {example}", table.name);
        reader.wrong(table.at, text);
    }
    let (text, at) = reader.text(table, key, example)?;
    if text.chars().any(|c| !c.is_ascii_graphic()) {
        let text =
            format!("{key} has a space or a letter outside of ASCII in it; expected {example}");
        reader.wrong(at, text);
        return None;
    }
    if !seen.insert(text.to_owned()) {
        let of = if secret {
            String::new()
        } else {
            format!(" {text:?}")
        };
        let text = format!(
            "a second {} with the {key}{of}; each must have its own",
            table.name
        );
        reader.wrong(at, text);
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn required<T: Copy>(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    key: &str,
    choices: &[(&str, T)],
) -> Option<T> {
    if table.value(key).is_none() {
        let names: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        let text = format!(
            "{} without {key}; expected one of {}",
            table.name,
            names.join(", ")
        );
        reader.wrong(table.at, text);
    }
    reader.choice(table, key, choices)
}
