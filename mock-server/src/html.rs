//! What all pages share: their frame, their texts in two languages, the error page.

pub(crate) mod callback;
pub(crate) mod error_page;
pub(crate) mod form;
pub(crate) mod language;
pub(crate) mod page;
pub(crate) mod texts;
