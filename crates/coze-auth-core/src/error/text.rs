//! Text that a server sent, made fit to be shown.

use std::fmt;

use url::form_urlencoded;
use zeroize::Zeroizing;

/// What stands for a secret.
pub(super) const MASK: &str = "***";

/// Longest text of a server in an error, in characters.
const LIMIT: usize = 200;
/// How far a text is looked through, in bytes: a server that repeats a long secret must not keep us busy.
const LOOKED_AT: usize = 16 * 1024;

/// Cleans what a server said, knowing which secrets it was sent.
pub(crate) struct ServerText {
    sent: Vec<Zeroizing<String>>,
}

impl ServerText {
    /// `sent` are the secrets of the request that the server answered.
    pub(crate) fn knowing(sent: Vec<Zeroizing<String>>) -> Self {
        Self { sent }
    }

    /// At most 200 characters, control characters escaped, the secrets that were sent masked.
    pub(crate) fn clean(&self, text: &str) -> String {
        let sent = self.sent.iter().map(|secret| secret.as_str());
        // As it was sent, and as it stands in a URL.
        let forms: Vec<Zeroizing<String>> = sent
            .filter(|secret| !secret.is_empty())
            .flat_map(|secret| {
                let encoded = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                [secret.to_owned(), encoded].map(Zeroizing::new)
            })
            .collect();
        let mut shown = String::new();
        let mut count = 0;
        // Masked before it is cut: half a secret is still half a secret.
        let mut masked_to = 0;
        for (at, character) in text.char_indices() {
            if at >= LOOKED_AT {
                shown.push('…');
                break;
            }
            let rest = &text[at..];
            let found = forms.iter().filter(|form| rest.starts_with(&***form));
            let end = found.map(|form| at + form.len()).max().unwrap_or_default();
            if at < masked_to {
                masked_to = masked_to.max(end);
                continue;
            }
            if count >= LIMIT {
                shown.push('…');
                break;
            }
            masked_to = end;
            match character {
                _ if at < end => shown.push_str(MASK),
                odd if is_invisible(odd) => shown.extend(odd.escape_unicode()),
                other => shown.push(other),
            }
            count += if at < end { MASK.len() } else { 1 };
        }
        shown
    }
}

/// Returns true for control characters, and for those that reorder or hide what stands beside them in a terminal or log.
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// In bytes. A key in base64 is longer than any path, name or id that people have.
const LONGEST_NAME: usize = 512;

/// A line of PEM has 64 characters, or 76.
const LINE: usize = 60;

/// What Coze's tokens begin with (protocol §3.3).
const TOKENS: [&str; 5] = ["pat_", "sat_", "czu_", "czs_", "cztei_"];

/// Returns true if a text that is to be a path, a name or an id is a private key instead, a piece of one, a configuration that may
/// hold one, or a token of Coze. An error must not show it then.
///
/// ```
/// use coze_auth_core::error::holds_secret;
///
/// assert!(holds_secret("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN"));
/// assert!(holds_secret("VT4elrV3gUMU1JaJJACnDrb0ww6DsGODjcmFQ8kcCFmqw96qlCb9EB6yS8e0obN3"));
/// assert!(holds_secret("pat_0123456789abcdefghij"));
/// assert!(!holds_secret("/home/me/pat_of_the_console.txt"));
/// assert!(!holds_secret("/home/me/MyCompany/coze-auth-experiments/2026/keys/private_key.pem"));
/// ```
pub fn holds_secret(text: &str) -> bool {
    let in_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let is_key = |run: &str| {
        let count = |is: fn(&u8) -> bool| run.bytes().filter(is).count();
        let digits = count(u8::is_ascii_digit);
        // Of 60 letters of base64 some 24 are of each case, and some are digits. Paths have other proportions.
        let mixed = count(u8::is_ascii_uppercase) >= 8 && count(u8::is_ascii_lowercase) >= 8;
        let hex = run.len() >= 2 * LINE && count(u8::is_ascii_hexdigit) == run.len();
        run.len() >= LINE && digits >= 2 && (mixed || hex)
    };
    text.len() > LONGEST_NAME
        || text.split(['/', '\\']).any(is_token)
        || text.contains("BEGIN")
        || text.trim().contains(['\n', '\r'])
        || text.trim_start().starts_with('{')
        || text.split(|c| !in_base64(c)).any(is_key)
}

/// Returns true if a text that is to be a path, a name or an id is a token of Coze instead. A file's name is shorter, or has a stop.
pub(crate) fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let text = text.trim();
    TOKENS.iter().any(|with| text.starts_with(with)) && text.len() >= 16 && text.bytes().all(plain)
}

pub(super) fn write_log_id(f: &mut fmt::Formatter<'_>, log_id: Option<&str>) -> fmt::Result {
    match log_id {
        Some(log_id) => write!(f, " [log id {log_id}]"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_before_the_text_is_cut() {
        let secret = "s3cr3t".repeat(10);
        let text = ServerText::knowing(vec![Zeroizing::new(secret.clone())]);
        let shown = text.clean(&format!("{}{secret} tail", "x".repeat(190)));
        assert_eq!(shown, format!("{}*** tail", "x".repeat(190)));
    }

    #[test]
    fn secrets_are_masked_where_they_overlap_and_not_looked_for_without_end() {
        let text = ServerText::knowing(
            ["ab", "bcdef", "a".repeat(9).as_str()]
                .map(|secret| Zeroizing::new(secret.to_owned()))
                .into(),
        );
        assert_eq!(text.clean("abcdef, ab"), "***, ***");
        assert_eq!(text.clean(&format!("{}b", "a".repeat(30))), "***");
        assert_eq!(text.clean(&format!("{}***", "x".repeat(197))).len(), 200);
        assert_eq!(text.clean(&format!("{}ab", "x".repeat(197))).len(), 200);
        let long = format!("{} tail", "a".repeat(20_000));
        assert_eq!(text.clean(&long), "***…");
    }

    #[test]
    fn text_is_cut_and_escaped() {
        let text = ServerText::knowing(vec![]);
        assert_eq!(
            text.clean("a\r\nb\u{1b}[31m\u{202e}"),
            "a\\u{d}\\u{a}b\\u{1b}[31m\\u{202e}"
        );
        assert_eq!(text.clean(&"扣".repeat(300)).chars().count(), 201);
    }
}
