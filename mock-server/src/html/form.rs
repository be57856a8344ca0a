//! The values of a form or query.

use std::collections::HashMap;

use url::form_urlencoded;

/// The values of a form or query: the first of each name, since our forms have each name once.
pub(crate) struct Fields(HashMap<String, String>);

impl Fields {
    pub(crate) fn of(form: &[u8]) -> Self {
        let mut fields = HashMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            fields
                .entry(name.into_owned())
                .or_insert_with(|| value.into_owned());
        }
        Self(fields)
    }

    /// The value of this name, or an empty text.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}
