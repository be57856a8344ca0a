//! Text that a server sent, made fit to be shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use url::form_urlencoded;
use zeroize::Zeroizing;

/// What stands for a secret.
pub(super) const MASK: &str = "***";

/// Longest text of a server in an error, in characters.
const LIMIT: usize = 200;
/// How far a text is looked through, in bytes: a server that repeats a long secret must not keep us busy.
const LOOKED_AT: usize = 16 * 1024;
/// So many bytes in a row of a secret are masked, if it has as many.
const PIECE: usize = 12;

/// Cleans what a server said, knowing which secrets it was sent.
pub(crate) struct ServerText {
    /// The secrets of the request, in each spelling.
    forms: Vec<Zeroizing<String>>,
}

impl ServerText {
    /// `sent` are the secrets of the request that the server answered.
    pub(crate) fn knowing(sent: Vec<Zeroizing<String>>) -> Self {
        let forms = sent.iter().flat_map(|sent| spellings(sent)).collect();
        Self { forms }
    }

    /// At most 200 characters, control characters escaped, the secrets that were sent masked.
    pub(crate) fn clean(&self, text: &str) -> String {
        let secret = self.secret_bytes(text);
        let mut shown = String::new();
        let mut count = 0;
        // Masked before it is cut: half a secret is still half a secret.
        let mut in_secret = false;
        for (at, character) in text.char_indices() {
            if at >= LOOKED_AT {
                shown.push('…');
                break;
            }
            let goes_on = in_secret && secret[at];
            in_secret = secret[at];
            if goes_on {
                continue;
            }
            if count >= LIMIT {
                shown.push('…');
                break;
            }
            match character {
                _ if in_secret => shown.push_str(MASK),
                odd if is_invisible(odd) => shown.extend(odd.escape_unicode()),
                other => shown.push(other),
            }
            count += if in_secret { MASK.len() } else { 1 };
        }
        shown
    }

    /// Of each byte that is looked at, whether it belongs to a secret, or to a piece of one: a server may have cut or damaged it.
    fn secret_bytes(&self, text: &str) -> Vec<bool> {
        let looked_at = &text.as_bytes()[..text.len().min(LOOKED_AT + PIECE)];
        let mut secret = vec![false; looked_at.len()];
        // Where the pieces of the text begin, in the order of the pieces, so that each of a secret is looked up and not searched for.
        let piece = |at: u16| &looked_at[at.into()..][..PIECE];
        let count = (looked_at.len() + 1).saturating_sub(PIECE);
        let mut pieces: Vec<u16> = (0..count as u16).collect();
        pieces.sort_unstable_by_key(|at| piece(*at));
        let mut done = vec![false; count];
        for form in self.forms.iter().map(|form| form.as_bytes()) {
            for part in form.windows(PIECE) {
                let first = pieces.partition_point(|at| piece(*at) < part);
                let same = pieces[first..].iter().take_while(|at| piece(**at) == part);
                // A text or a secret that repeats itself is looked through once.
                if same.clone().next().is_some() && !std::mem::replace(&mut done[first], true) {
                    for at in same.map(|at| usize::from(*at)) {
                        secret[at..at + PIECE].fill(true);
                    }
                }
            }
            // A short one as a whole.
            if (1..PIECE).contains(&form.len()) {
                for at in 0..looked_at.len() {
                    if looked_at[at..].starts_with(form) {
                        secret[at..at + form.len()].fill(true);
                    }
                }
            }
        }
        secret
    }
}

/// How a server may write a secret that it was sent. JSON's escapes are read before.
fn spellings(secret: &str) -> Vec<Zeroizing<String>> {
    let mut spellings = vec![Zeroizing::new(secret.to_owned())];
    let hex = |bytes: &[u8], digit: fn(u32) -> char| -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
        for byte in bytes {
            text.extend([digit(u32::from(byte >> 4)), digit(u32::from(byte & 15))]);
        }
        text
    };
    let lower = |digit| char::from_digit(digit, 16).unwrap_or_default();
    let upper = |digit| char::from_digit(digit, 16).map_or('0', |digit| digit.to_ascii_uppercase());
    for digit in [lower as fn(u32) -> char, upper] {
        // In a URL, whose digits are of either case (RFC 3986 §2.1).
        let mut encoded = Zeroizing::new(String::with_capacity(3 * secret.len()));
        for piece in form_urlencoded::byte_serialize(secret.as_bytes()) {
            match piece.as_bytes() {
                [b'%', high, low] => {
                    let digits = [high, low].map(|digit| char::from(*digit).to_digit(16));
                    encoded.push('%');
                    encoded.extend(digits.into_iter().flatten().map(digit));
                }
                _ => encoded.push_str(piece),
            }
        }
        spellings.push(encoded);
        if secret.len() >= PIECE {
            spellings.push(hex(secret.as_bytes(), digit));
        }
    }
    if secret.len() < PIECE {
        return spellings;
    }
    // In base64, behind none, one or two bytes of something else.
    for before in 0..3 {
        let mut whole = Zeroizing::new(Vec::with_capacity(before + secret.len()));
        whole.resize(before, 0);
        whole.extend_from_slice(secret.as_bytes());
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let mut encoded = Zeroizing::new(engine.encode(&*whole));
            // What hangs on the neighbours, too, is left out.
            encoded.truncate(whole.len() / 3 * 4);
            spellings.push(Zeroizing::new(
                encoded[(4 * before).div_ceil(3)..].to_owned(),
            ));
        }
    }
    spellings
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

    /// A secret of each request may stand in a message as a gateway writes, encodes, cuts or damages it.
    #[test]
    fn a_secret_is_masked_in_each_spelling_and_in_pieces() {
        let secret = "0123/456+789=abcdefghijklm ABCDEF";
        let text = ServerText::knowing(vec![Zeroizing::new(secret.to_owned())]);
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let url = "0123%2F456%2B789%3Dabcdefghijklm+ABCDEF";
        for spelled in [
            secret,
            url,
            &url.replace("%2F", "%2f")
                .replace("%2B", "%2b")
                .replace("%3D", "%3d"),
            &hex,
            &hex.to_ascii_uppercase(),
            &secret[..20],
            &secret[9..],
            &STANDARD_NO_PAD.encode(secret)[..40],
        ] {
            assert_eq!(text.clean(&format!("<{spelled}>")), "<***>", "{spelled}");
        }
        for before in ["", "a", "ab", "abc"] {
            let pair = STANDARD_NO_PAD.encode(format!("{before}{secret}:"));
            let shown = text.clean(&pair);
            assert!(
                shown.len() <= 12 && shown.contains("***"),
                "{pair}: {shown}"
            );
        }
        let damaged = secret.replace('h', "\u{fffd}");
        assert_eq!(text.clean(&damaged), "***\u{fffd}***");
        assert_eq!(text.clean(&secret[..11]), secret[..11]);
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
