//! Reports of runs: for people, for machines, for pages.

pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod tap;
pub mod terminal;

/// A statement that a check rests on, in words.
fn statement(id: &str) -> String {
    let spec = crate::suite::specs().ok().and_then(|all| all.get(id));
    spec.map_or_else(
        || id.to_owned(),
        |spec| format!("{id} ({}): {}", spec.evidence, spec.says),
    )
}

/// Text for XML and HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // No XML can hold them.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() && !matches!(c, '\n' | '\t') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Text for a terminal, and for reports made of lines: what a client says colours nothing, and overwrites nothing.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}
