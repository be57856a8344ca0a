//! Encryption of stored values.
//!
//! AES-256-GCM-SIV (RFC 8452) of aws-lc, which signs and speaks TLS in this tree already. The nonce is random, since
//! the processes of a fleet share no counter. Plain GCM would allow 2^32 values a key (NIST SP 800-38D §8.3), which a
//! million users with tokens of 15 minutes write in 45 days, and a nonce that comes twice gives its
//! authentication away. Under SIV a nonce that comes twice tells only that two equal values are equal, so a machine
//! that was copied with the state of its random numbers does no harm, and a key may seal as much as it likes.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use coze_auth_core::error::{ErrorKind, report};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::settings::SettingsError;

const KEY: &str = "seal key";
const NAME: &str = "name of a seal key";
/// The longest name of a key. A key as text is longer, so the two are not exchanged by mistake.
const NAME_MAX: usize = 32;
/// What a sealed value begins with: the form, with its version. A plain one is JSON and begins with `{`.
const FORM: &str = "sealed1:";
/// What any version of the form begins with.
const ANY_FORM: &str = "sealed";

/// Both alphabets are read, as RFC 4648 §4 and §5 have them, with and without padding.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

/// A key that stored values are sealed with, under a name that stands beside each value: 32 random bytes, such as
/// `openssl rand -base64 32` makes.
///
/// The bytes are wiped from memory when the key is dropped, and `Debug` shows the name alone. The text or the bytes that
/// you hand in are yours to wipe.
///
/// ```
/// use coze_auth_redis::SealKey;
///
/// # fn main() -> Result<(), coze_auth_redis::SettingsError> {
/// let key = SealKey::from_text("2026-11", "q0ck0jzjDlW8d2bq6YhXz0hN3gkP1mV5sT7uWxYzA4E=")?;
/// assert_eq!(format!("{key:?}"), r#"SealKey("2026-11")"#);
/// let error = SealKey::from_text("2026-11", "cGFzc3dvcmQ=").unwrap_err();
/// assert_eq!(error.to_string(), "seal key: has 8 bytes; 32 random ones are asked for (openssl rand -base64 32)");
/// # Ok(()) }
/// ```
pub struct SealKey {
    name: Box<str>,
    /// The beginning of a hash of the key: tells a wrong key from a damaged value.
    check: String,
    key: RandomizedNonceKey,
}

impl SealKey {
    /// The key of this name: at most 32 letters, digits and `-._`. The name is not a secret.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if the name cannot be one, or if all the bytes are the same.
    pub fn new(name: &str, key: &[u8; 32]) -> Result<Self, SettingsError> {
        if let Some(why) = not_a_name(name) {
            return Err(SettingsError::new(NAME, why));
        }
        if key.iter().all(|byte| *byte == key[0]) {
            return Err(SettingsError::new(
                KEY,
                "is the same byte 32 times; 32 random ones are asked for (openssl rand -base64 32)",
            ));
        }
        let mut hash = Sha256::new();
        hash.update(b"coze-auth-redis check of a seal key");
        hash.update(key);
        let check = hash.finalize()[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key)
            .map_err(|_| SettingsError::new(KEY, "was not taken by aws-lc: out of memory"))?;
        Ok(Self {
            name: name.into(),
            check,
            key,
        })
    }

    /// The key of this name from its text: 32 bytes in base64 (either alphabet, with padding or without), or 64
    /// hexadecimal digits. White space around it, such as the line end of a file, is passed over.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), and if the text is neither, or does not have 32 bytes.
    pub fn from_text(name: &str, text: &str) -> Result<Self, SettingsError> {
        let text = text.trim_ascii();
        let wrong = |why: String| Err(SettingsError::new(KEY, why));
        if text.is_empty() {
            return wrong("is empty".to_owned());
        }
        let bytes = match hexadecimal(text) {
            Some(bytes) => bytes,
            None => {
                if let Some(at) = text.bytes().position(|byte| !in_base64(byte)) {
                    return wrong(format!(
                        "has a character at byte {at} that neither base64 nor hexadecimal digits have (quotes, or its \
                         name in front?)"
                    ));
                }
                let alphabet = if text.contains(['-', '_']) {
                    &BASE64_URL
                } else {
                    &BASE64
                };
                // A buffer of its own size: one that grows leaves copies behind.
                let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
                let Ok(len) = alphabet.decode_slice(text, &mut bytes) else {
                    return wrong(
                        "is neither base64 nor 64 hexadecimal digits: it may be cut off".to_owned(),
                    );
                };
                bytes.truncate(len);
                bytes
            }
        };
        match <&[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(key) => Self::new(name, key),
            Err(_) => wrong(format!(
                "has {} bytes; 32 random ones are asked for (openssl rand -base64 32)",
                bytes.len()
            )),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealKey").field(&self.name).finish()
    }
}

/// 64 hexadecimal digits. (They are base64 of 48 bytes as well, which nothing here has.)
fn hexadecimal(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default() as u8;
    let pairs = text.as_bytes().chunks_exact(2);
    let mut bytes = Zeroizing::new(Vec::with_capacity(32));
    bytes.extend(pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])));
    Some(bytes)
}

fn in_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

fn not_a_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > NAME_MAX {
        Some("is longer than 32 characters (is it the key itself?)")
    } else if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    {
        Some("has a character that is not a letter, a digit or one of -._")
    } else {
        None
    }
}

/// The keys of a store: the first seals, all of them open.
///
/// # A new key
///
/// A value says which key sealed it, and a process that does not have this key can neither read nor renew the login. So in this
/// order, each step on all machines before the next:
///
/// 1. Add the new key behind the old one (`SealKeys::new(old).and(new)?`): all processes can open what it seals, and
///    none seals with it yet.
/// 2. Make it the first (`SealKeys::new(new).and(old)?`): from now on each save seals with the new one. A value is
///    rewritten at its next save, which for a login in use is its next renewal.
/// 3. Remove the old one when no value can be left that it sealed: after the life of a refresh token (30 days). A login whose value is
///    older has ended anyway.
///
/// # From plain values to sealed ones
///
/// A store that is given keys for the first time finds plain values. It reads them, and seals them at the next save, so nobody
/// has to log in again. But give the keys to all processes at once: one without them cannot read what is sealed,
/// and says which key it lacks. As long as plain values are accepted, somebody who may write to Redis can plant one. When all are
/// sealed, say [`sealed_only`](Self::sealed_only).
///
/// # What it protects
///
/// Somebody who reads Redis, its files or its traffic learns no token. Somebody who may write can damage a value or delete it,
/// but neither change it nor move it to another user or revision: key name, grant and revision are authenticated with it. What no
/// encryption prevents is that a value is put back *together with* its revision, as a restored backup does: the
/// store notices that by the revisions that its processes have seen.
///
/// ```
/// use coze_auth_redis::{SealKey, SealKeys};
///
/// # fn main() -> Result<(), coze_auth_redis::SettingsError> {
/// # let (new, old) = ("q0ck0jzjDlW8d2bq6YhXz0hN3gkP1mV5sT7uWxYzA4E=", "9f".repeat(16) + &"07".repeat(16));
/// let keys = SealKeys::new(SealKey::from_text("2026-11", new)?) // seals
///     .and(SealKey::from_text("2025-11", &old)?)?; // opens what it has sealed
/// assert_eq!(format!("{keys:?}"), r#"SealKeys(["2026-11", "2025-11"])"#);
/// # Ok(()) }
/// ```
pub struct SealKeys {
    keys: Vec<SealKey>,
    sealed_only: bool,
}

impl SealKeys {
    /// One key, which seals and opens.
    pub fn new(key: SealKey) -> Self {
        Self {
            keys: vec![key],
            sealed_only: false,
        }
    }

    /// One more key that opens.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if there is a key of this name.
    pub fn and(mut self, key: SealKey) -> Result<Self, SettingsError> {
        if self.keys.iter().any(|other| other.name == key.name) {
            return Err(SettingsError::new(
                NAME,
                "is there twice, and nobody can tell which one is meant",
            ));
        }
        self.keys.push(key);
        Ok(self)
    }

    /// Refuses plain values, with an error that says so.
    #[must_use]
    pub fn sealed_only(mut self) -> Self {
        self.sealed_only = true;
        self
    }

    /// The value as it is stored at this revision of this grant.
    pub(crate) fn seal(
        &self,
        plain: &str,
        grant: &str,
        revision: u64,
    ) -> Result<String, SealError> {
        let SealKey { name, check, key } = &self.keys[0];
        let head = format!("{FORM}{name}:{check}:");
        // With room for the tag: a buffer that grows leaves a copy of the token behind.
        let mut bytes = Vec::with_capacity(plain.len() + AES_256_GCM_SIV.tag_len());
        bytes.extend_from_slice(plain.as_bytes());
        let nonce = key
            .seal_in_place_append_tag(Aad::from(bound(&head, grant, revision)), &mut bytes)
            .map_err(|_| SealError::NotSealed)?;
        let mut all = nonce.as_ref().to_vec();
        all.append(&mut bytes);
        Ok(head + &STANDARD_NO_PAD.encode(all))
    }

    fn of_name(&self, name: &str) -> Option<&SealKey> {
        self.keys.iter().find(|key| &*key.name == name)
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.keys.iter().map(|key| &*key.name).collect();
        names.join(", ")
    }
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.keys.iter().map(|key| &*key.name).collect();
        f.debug_tuple("SealKeys").field(&names).finish()
    }
}

/// What is authenticated beside the value: head (form, key name), grant and revision, each with its length.
fn bound(head: &str, grant: &str, revision: u64) -> Vec<u8> {
    let mut bound = Vec::new();
    for part in [head.as_bytes(), grant.as_bytes(), &revision.to_be_bytes()] {
        bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bound.extend_from_slice(part);
    }
    bound
}

/// What was stored as the value of this revision of this grant: opened if it is sealed, as it is if it is plain and may be.
pub(crate) fn open(
    keys: Option<&SealKeys>,
    stored: &str,
    grant: &str,
    revision: u64,
) -> Result<Zeroizing<String>, SealError> {
    if !stored.starts_with(ANY_FORM) {
        return match keys {
            Some(keys) if keys.sealed_only => Err(SealError::Plain),
            _ => Ok(Zeroizing::new(stored.to_owned())),
        };
    }
    let Some(rest) = stored.strip_prefix(FORM) else {
        return Err(SealError::unknown_form(stored));
    };
    let mut parts = rest.splitn(3, ':');
    let (Some(name), Some(check), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(SealError::Damaged { key: None });
    };
    // Who may write to Redis chose it, and it goes into an error.
    if not_a_name(name).is_some() {
        return Err(SealError::Damaged { key: None });
    }
    let key_name = || name.to_owned();
    let Some(keys) = keys else {
        return Err(SealError::NoKeys { key: key_name() });
    };
    let Some(key) = keys.of_name(name) else {
        return Err(SealError::UnknownKey {
            key: key_name(),
            known: keys.names(),
        });
    };
    if check != key.check {
        return Err(SealError::WrongKey { key: key_name() });
    }
    let damaged = || SealError::Damaged {
        key: Some(key_name()),
    };
    let mut bytes = Zeroizing::new(STANDARD_NO_PAD.decode(text).map_err(|_| damaged())?);
    let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or_else(damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
    let head = &stored[..stored.len() - text.len()];
    let plain = key
        .key
        .open_in_place(nonce, Aad::from(bound(head, grant, revision)), sealed)
        .map_err(|_| damaged())?;
    let plain = std::str::from_utf8(plain).map_err(|_| damaged())?;
    Ok(Zeroizing::new(plain.to_owned()))
}

/// Why a stored value could not be opened, or not be sealed. It holds neither the value nor a key.
#[derive(Clone, Eq, PartialEq)]
pub(crate) enum SealError {
    /// The value is sealed, and this store was given no keys.
    NoKeys {
        /// The name of the key that it was sealed with.
        key: String,
    },
    /// The value is sealed with a key of another name.
    UnknownKey {
        /// The name of the key that it was sealed with.
        key: String,
        /// The names of those that this store has.
        known: String,
    },
    /// The value is sealed with a key of this name that has other bytes than ours.
    WrongKey {
        /// The name of the key.
        key: String,
    },
    /// The value does not open, though the key is the right one: it was changed or cut off, or it was sealed for another grant or
    /// another revision and moved here.
    Damaged {
        /// The name of the key, if it could be read.
        key: Option<String>,
    },
    /// The value is sealed in a form that a newer version of this library writes.
    Newer {
        /// The version of the form.
        version: u32,
    },
    /// The value is not sealed, and [`SealKeys::sealed_only`] refuses it.
    Plain,
    /// The system gave no random numbers.
    NotSealed,
}

impl SealError {
    fn unknown_form(stored: &str) -> Self {
        let version = stored[ANY_FORM.len()..]
            .split_once(':')
            .and_then(|(version, _)| version.parse().ok());
        match version {
            Some(version) if version > 1 => Self::Newer { version },
            _ => Self::Damaged { key: None },
        }
    }

    /// What to do about it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. } => ErrorKind::LoginNeeded,
            Self::NoKeys { .. }
            | Self::UnknownKey { .. }
            | Self::WrongKey { .. }
            | Self::Newer { .. }
            | Self::Plain => ErrorKind::Settings,
            Self::NotSealed => ErrorKind::Other,
        }
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys { key } => write!(
                f,
                "the stored login is sealed with the key {key}, and this program was given no keys: give it that one"
            ),
            Self::UnknownKey { key, known } => write!(
                f,
                "the stored login is sealed with the key {key}, which this program does not have (it has {known}): add \
                 it; a new key goes to all machines before any of them seals with it"
            ),
            Self::WrongKey { key } => write!(
                f,
                "the stored login is sealed with a key that is named {key} and is not the key that this program has under \
                 this name: give both the same, or different names"
            ),
            Self::Damaged { key: Some(key) } => write!(
                f,
                "it does not open with its key {key}: it was changed or cut off, or it belongs to another user or \
                 revision and was moved; look who may write to Redis"
            ),
            Self::Damaged { key: None } => f.write_str(
                "it begins as a sealed one, and its form is not one; look who may write to Redis",
            ),
            Self::Newer { version } => write!(
                f,
                "the stored login was sealed by a newer version of this library (its form is {version}, this one knows \
                 up to 1): update this program"
            ),
            Self::Plain => f.write_str(
                "the stored login is not sealed, and sealed_only refuses it: log in again, or accept plain ones until \
                 all are sealed",
            ),
            Self::NotSealed => {
                f.write_str("the login was not sealed, so it was not stored: the system gave no random numbers")
            }
        }
    }
}

impl fmt::Debug for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for SealError {}

#[cfg(test)]
mod tests;
