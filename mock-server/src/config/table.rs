//! Tables of a TOML document.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A table, and its name in messages.
pub(super) struct Table<'t, 'i> {
    pub(super) name: &'t str,
    pub(super) entries: &'t DeTable<'i>,
    pub(super) at: usize,
}

impl<'t, 'i> Table<'t, 'i> {
    pub(super) fn new(name: &'t str, table: &'t Spanned<DeTable<'i>>) -> Self {
        Self {
            name,
            entries: table.get_ref(),
            at: table.span().start,
        }
    }

    pub(super) fn value(&self, key: &str) -> Option<&'t Value<'i>> {
        self.entries.get(key)
    }

    /// The place of a key, for a message that it should not be there.
    pub(super) fn key_at(&self, key: &str) -> Option<usize> {
        let (key, _) = self.entries.get_key_value(key)?;
        Some(key.span().start)
    }

    /// Returns all values by their dotted keys: `"code.expiry" = …` and `code.expiry = …` are the same.
    pub(super) fn flat(&self) -> Vec<(String, usize, &'t Value<'i>)> {
        let mut flat = Vec::new();
        flatten(self.entries, "", None, &mut flat);
        flat
    }
}

fn flatten<'t, 'i>(
    table: &'t DeTable<'i>,
    above: &str,
    at: Option<usize>,
    flat: &mut Vec<(String, usize, &'t Value<'i>)>,
) {
    for (key, value) in table {
        let name = format!("{above}{}", key.get_ref());
        let at = at.unwrap_or_else(|| key.span().start);
        match value.get_ref() {
            DeValue::Table(below) => flatten(below, &format!("{name}."), Some(at), flat),
            _ => flat.push((name, at, value)),
        }
    }
}

/// The name of a value's type, with its article.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub(super) fn as_table<'a, 'i>(value: &'a Value<'i>, name: &'a str) -> Option<Table<'a, 'i>> {
    match value.get_ref() {
        DeValue::Table(entries) => Some(Table {
            name,
            entries,
            at: value.span().start,
        }),
        _ => None,
    }
}
