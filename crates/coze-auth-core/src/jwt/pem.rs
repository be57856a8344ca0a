//! Private keys as people have them: PEM (RFC 7468) that went through files, YAML, JSON, shells, mail and CI.
//!
//! Every layout that can mean one key only is taken; of the rest it is said what it is. Nothing of the key
//! stays in memory: each copy on the way is wiped.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::der::{self, What};
use crate::error::is_invisible;
use crate::pasted::{self, Setting};

/// An RSA key in DER.
pub(super) enum Key {
    Pkcs8(Zeroizing<Vec<u8>>),
    Pkcs1(Zeroizing<Vec<u8>>),
}

/// What is wrong, in words that follow "it is not a usable RSA private key:".
pub(super) type Reason = Cow<'static, str>;

pub(super) const PUBLIC: &str = "the public key; the private one is asked for";
pub(super) const ENCRYPTED: &str = "encrypted; decrypt it first (openssl pkey -in key.pem)";
pub(super) const CERTIFICATE: &str = "a certificate; the private key is asked for";
pub(super) const REQUEST: &str = "a certificate request; the private key is asked for";
pub(super) const EC: &str = "an EC key and not an RSA key; Coze takes RS256 only";
const DSA: &str = "a DSA key and not an RSA key; Coze takes RS256 only";
const OPENSSH: &str = "in OpenSSH's form (ssh-keygen -p -m PEM -f FILE converts it)";
/// A reason as it stands.
const OTHER: &str = "it is something else than a private key";
const PGP: &str = "a PGP key; an RSA key in PEM is asked for";

/// What stands behind BEGIN, without its spaces; and what it then is, if it is not to be read. A label that
/// another one begins with comes after that one.
const LABELS: [(&str, Option<&str>); 20] = [
    ("ENCRYPTEDPRIVATEKEY", Some(ENCRYPTED)),
    ("RSAPRIVATEKEY", None),
    ("PRIVATEKEY", None),
    ("ANYPRIVATEKEY", None),
    ("ECPRIVATEKEY", Some(EC)),
    ("DSAPRIVATEKEY", Some(DSA)),
    ("OPENSSHPRIVATEKEY", Some(OPENSSH)),
    ("SSH2ENCRYPTEDPRIVATEKEY", Some(OPENSSH)),
    ("PGPPRIVATEKEYBLOCK", Some(PGP)),
    ("PGPPUBLICKEYBLOCK", Some(PGP)),
    ("PUBLICKEY", Some(PUBLIC)),
    ("RSAPUBLICKEY", Some(PUBLIC)),
    ("SSH2PUBLICKEY", Some(PUBLIC)),
    ("CERTIFICATEREQUEST", Some(REQUEST)),
    ("NEWCERTIFICATEREQUEST", Some(REQUEST)),
    ("CERTIFICATE", Some(CERTIFICATE)),
    ("X509CERTIFICATE", Some(CERTIFICATE)),
    ("TRUSTEDCERTIFICATE", Some(CERTIFICATE)),
    ("ECPARAMETERS", Some(EC)),
    ("DHPARAMETERS", Some("parameters and not a key")),
];

/// Reads the one private key that a text holds.
pub(super) fn read(given: &str) -> Result<Key, Reason> {
    read_within(given, 2)
}

/// `wrapped`: how many times more the whole may be base64 of another text.
fn read_within(given: &str, wrapped: u8) -> Result<Key, Reason> {
    let flat = flat(given);
    let upper = Zeroizing::new(flat.to_ascii_uppercase());
    let mut blocks = blocks(&flat, &upper);
    if blocks.is_empty() {
        return bare(given, &flat, &upper, wrapped);
    }
    // A certificate or a public key beside it is no second key.
    let first = blocks[0].is;
    blocks.retain(|block| block.private);
    blocks.dedup_by(|one, other| one.body == other.body);
    match &blocks[..] {
        [] => Err(first.map_or(Cow::Borrowed(OTHER), it_is)),
        [block] => block.key(given),
        several => Err(format!("it holds {} private keys; one is asked for", several.len()).into()),
    }
}

fn it_is(what: &'static str) -> Reason {
    format!("it is {what}").into()
}

/// One thing between a BEGIN and an END.
struct Block<'a> {
    private: bool,
    /// What its label says that it is, if that is not a key to be read.
    is: Option<&'static str>,
    body: &'a str,
}

impl Block<'_> {
    fn key(&self, given: &str) -> Result<Key, Reason> {
        if self.body.contains("Proc-Type:4ENCRYPTED") {
            return Err(it_is(ENCRYPTED));
        }
        match self.is {
            Some(what) => Err(it_is(what)),
            None if self.body.is_empty() => {
                Err("there is nothing between its BEGIN and END lines".into())
            }
            None => key(self.body, given),
        }
    }
}

/// The key that a piece of base64 is.
fn key(body: &str, given: &str) -> Result<Key, Reason> {
    let read = decoded(body).map_err(|odd| not_base64(body, given, odd));
    read.and_then(judged).or_else(|reason| {
        // Shells and compose files make an `n` of a line break that was written out.
        let read = without_n(body).and_then(|body| decoded(&body).ok());
        read.and_then(|bytes| judged(bytes).ok()).ok_or(reason)
    })
}

fn judged(bytes: Zeroizing<Vec<u8>>) -> Result<Key, Reason> {
    match der::what(&bytes) {
        What::Pkcs8(bits) | What::Pkcs1(bits) if bits < 2048 => {
            Err(format!("it has {bits} bits; at least 2,048 are asked for").into())
        }
        What::Pkcs8(bits) | What::Pkcs1(bits) if bits > 8192 => {
            Err(format!("it has {bits} bits; at most 8,192 can be used").into())
        }
        What::Pkcs8(_) => Ok(Key::Pkcs8(bytes)),
        What::Pkcs1(_) => Ok(Key::Pkcs1(bytes)),
        What::Other(what) => Err(it_is(what)),
        What::Length { have, need } if have < need => Err(format!(
            "it was cut off or damaged: by its first bytes it has {need} bytes, and {have} are there"
        )
        .into()),
        What::Length { have, need } => Err(format!(
            "it is damaged, or something was added to it: by its first bytes it has {need} bytes, and {have} are there"
        )
        .into()),
        What::Unknown => Err("it is damaged: what it holds is not a key".into()),
    }
}

/// `---` in base64.
const DASHES: &str = "LS0t";

/// What a text without BEGIN is.
fn bare(given: &str, flat: &str, upper: &str, wrapped: u8) -> Result<Key, Reason> {
    let end = upper.find("-END").or_else(|| upper.find("ENDPRIVATEKEY"));
    let body = end.map_or(flat, |at| flat[..at].trim_end_matches('-'));
    if let Ok(bytes) = decoded(body)
        && !bytes.is_empty()
    {
        // As CI keeps it: the whole file in base64, so that it has one line.
        if let Ok(text) = std::str::from_utf8(&bytes)
            && (begin(text).is_some() || text.starts_with(DASHES))
            && wrapped > 0
        {
            return read_within(text, wrapped - 1);
        }
        // So begins the base64 of a sequence of more than 255 bytes, as every key of use is one.
        let is_key = body.starts_with("MII")
            || !matches!(der::what(&bytes), What::Unknown | What::Length { .. });
        if is_key {
            return judged(bytes);
        }
    }
    let trimmed = given.trim();
    let one_line = trimmed.lines().count() == 1;
    let ending = [".pem", ".key", ".der", ".p12", ".pfx", ".txt", ".json"];
    Err(match trimmed {
        _ if end.is_some() => {
            "its BEGIN line is missing, and what stands before its END line is not a key".into()
        }
        text if text.starts_with('0') && text.contains(['\u{fffd}', '\0', '\u{82}']) => {
            "it is a file of DER, read as text; openssl pkey -inform der -in key.der makes PEM of it".into()
        }
        text if text.starts_with("ssh-") => {
            "it is a public key in OpenSSH's form; the private key in PEM is asked for".into()
        }
        text if text.starts_with("PuTTY-User-Key-File") => {
            "it is in PuTTY's form (puttygen key.ppk -O private-openssh, then ssh-keygen -p -m PEM, converts it)".into()
        }
        text if text.contains("\"kty\"") => "it is a JWK; PEM is asked for".into(),
        text if one_line
            && text.len() < 512
            && (text.contains(['/', '\\'])
                || ending.iter().any(|ending| text.ends_with(ending))) =>
        {
            "it looks like a path: the text of the key is asked for here (or COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH)".into()
        }
        text => match pasted::looks_like(text.trim_matches(['"', '\'']), Setting::Text) {
            Some(what) => format!("it {what}").into(),
            None => "it has no line BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY".into(),
        },
    })
}

/// Where the word BEGIN stands, without a copy of the text.
fn begin(text: &str) -> Option<usize> {
    text.find("BEGIN").or_else(|| text.find("begin"))
}

/// The text without what layouts add: line breaks in whatever form, spaces, quotes, marks at the start of a
/// line; and what is only another way to write a character as that character.
fn flat(given: &str) -> Zeroizing<String> {
    // A form writes a space as `+`.
    let form = ["BEGIN+", "begin+"].iter().any(|sign| given.contains(sign));
    // Nothing below is longer than what it stands for, so the text never moves and leaves no copy.
    let mut flat = Zeroizing::new(String::with_capacity(given.len()));
    let mut rest = given;
    while let Some(next) = rest.chars().next() {
        let (character, taken) = match next {
            '\\' | '%' | '`' => written_out(rest),
            _ => (Some(next), next.len_utf8()),
        };
        rest = &rest[taken..];
        let Some(character) = character else { continue };
        match character {
            '+' if form && next == '+' => {}
            '"' | '\'' | '`' | '“' | '”' | '„' | '‘' | '’' | '‚' | '«' | '»' | '「' | '」' =>
                {}
            // JSON lists; mail and YAML; comments.
            ',' | '>' | '|' | '#' => {}
            // What word processors make of hyphens.
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => flat.push('-'),
            '\u{ff01}'..='\u{ff5e}' => {
                flat.extend(char::from_u32(u32::from(character) - 0xfee0));
            }
            _ if character.is_whitespace() || is_invisible(character) => {}
            _ => flat.push(character),
        }
    }
    flat
}

/// The character that an escape at the start stands for, and how long the escape is: of JSON and shells, escaped
/// again or not, of PowerShell, of URLs.
fn written_out(text: &str) -> (Option<char>, usize) {
    let sign = &text[..1];
    let signs = match sign {
        "\\" => text.len() - text.trim_start_matches('\\').len(),
        _ => 1,
    };
    let rest = &text[signs..];
    let code = |from: usize, digits: usize| {
        let digits = rest.get(from..from + digits)?;
        let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = u32::from_str_radix(digits, 16).ok().filter(|_| all_hex)?;
        char::from_u32(code)
    };
    match (sign, rest.as_bytes().first()) {
        ("%", _) => match code(0, 2) {
            Some(character) => (Some(character), 3),
            None => (Some('%'), 1),
        },
        (_, Some(b'n' | b'r' | b't')) => (None, signs + 1),
        ("\\", Some(b'u')) if code(1, 4).is_some() => (code(1, 4), signs + 5),
        ("\\", Some(b'x')) if code(1, 2).is_some() => (code(1, 2), signs + 3),
        // Before anything else it means that thing: `\/`, `\"`, a line that goes on.
        _ => (None, signs),
    }
}

/// What stands between BEGIN and END, however many hyphens are around these.
fn blocks<'a>(flat: &'a str, upper: &str) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    let mut from = 0;
    while let Some(at) = upper[from..].find("BEGIN").map(|at| from + at) {
        from = at + "BEGIN".len();
        let label = LABELS
            .iter()
            .find(|(label, _)| upper[from..].starts_with(label));
        let (private, is, name) = match label {
            Some((label, is)) => (label.contains("PRIVATE"), *is, *label),
            // Neither a label nor armour: a word of the text around, or letters of a key.
            None if !upper[..at].ends_with('-') => continue,
            None => (false, None, ""),
        };
        from += name.len();
        let dashes = flat[from..].len() - flat[from..].trim_start_matches('-').len();
        let start = from + dashes;
        let behind = &upper[start..];
        let end = (!name.is_empty())
            .then(|| behind.find(&format!("END{name}")))
            .flatten()
            .or_else(|| behind.find("-END").map(|at| at + 1))
            // Its END is cut: in whole or in part.
            .or_else(|| behind.find("-----"))
            .unwrap_or(behind.len());
        // No more than it began with: base64url may end in one.
        let mut body = &flat[start..start + end];
        for _ in 0..dashes {
            body = body.strip_suffix('-').unwrap_or(body);
        }
        blocks.push(Block { private, is, body });
        from = start + end;
    }
    blocks
}

/// Base64 or base64url, padded or not. The error is what does not belong there, if it is one character.
fn decoded(body: &str) -> Result<Zeroizing<Vec<u8>>, Option<char>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    let mut text = Zeroizing::new(String::with_capacity(body.len()));
    for character in body.trim_end_matches('=').chars() {
        text.push(match character {
            '-' => '+',
            '_' => '/',
            _ if character.is_ascii_alphanumeric() || matches!(character, '+' | '/') => character,
            _ => return Err(Some(character)),
        });
    }
    // One letter alone is six bits of a byte that was cut.
    let whole = match text.len() % 4 {
        1 => text.len() - 1,
        _ => text.len(),
    };
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(whole)]);
    let length = STANDARD
        .decode_slice(&text[..whole], &mut bytes)
        .map_err(|_| None)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn not_base64(body: &str, given: &str, odd: Option<char>) -> Reason {
    let left_out = ["...", "…", "***"];
    let Some(odd) = odd else {
        return "it is damaged: it is not base64".into();
    };
    if left_out.iter().any(|sign| body.contains(sign)) {
        return "it is an excerpt: a part of it is left out".into();
    }
    let begin = begin(given).unwrap_or_default();
    match given[begin..].find(odd) {
        Some(at) => format!(
            "it is damaged: it has a character at byte {} that base64 does not have",
            begin + at
        )
        .into(),
        None => "it is damaged: it has a character that base64 does not have".into(),
    }
}

/// The text without the `n` that each line begins with, if all lines of 64 letters do.
fn without_n(body: &str) -> Option<Zeroizing<String>> {
    let body = body.strip_suffix('n').unwrap_or(body);
    let lines = || body.as_bytes().chunks(65);
    lines().all(|line| line[0] == b'n').then(|| {
        let mut text = Zeroizing::new(String::with_capacity(body.len()));
        text.extend(lines().flat_map(|line| line[1..].iter().map(|byte| char::from(*byte))));
        text
    })
}
