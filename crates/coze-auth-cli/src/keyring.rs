//! Grants in the keyring of the system: an entry a profile, with the whole grant in it, under the lock of the file store.
//!
//! A keyring has no compare-and-set, and the last write wins: without the lock a spent refresh token could overwrite a good one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use coze_auth::store::{FileStore, GrantKey, GrantStore, LockedGrant, Notices, Saved, StoreError};
use coze_auth::{Error, TokenGrant};
use keyring::Entry;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind};
use crate::output;
use crate::profile::ProfileName;

/// No other program uses it. One that does, with the user name of ours as well, makes an entry ambiguous.
const SERVICE: &str = "coze-auth-cli grant";
/// The form of an entry that is known here.
const VERSION: u32 = 1;
/// How long one call may take. The keyring itself has no limit: it waits for the dialog that asks for its password.
const LIMIT: Duration = Duration::from_secs(10);
/// When the person is told why it takes so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a keyring says that is neither a grant nor that there is none.
#[derive(Clone, Debug)]
enum KeyringError {
    Locked(String),
    /// The dialog was not answered, or the keyring hangs.
    TimedOut,
    Missing(String),
    Ambiguous(usize),
    /// The entry is of something else, or damaged.
    NotAGrant,
    Failed(String),
}

impl KeyringError {
    const fn kind(&self) -> Kind {
        match self {
            Self::Locked(_) | Self::TimedOut => Kind::KeyringLocked,
            Self::Missing(_) => Kind::KeyringMissing,
            Self::Ambiguous(_) => Kind::KeyringAmbiguous,
            Self::NotAGrant => Kind::LoginNeeded,
            Self::Failed(_) => Kind::TryAgain,
        }
    }
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(why) => write!(
                f,
                "the keyring is locked, or was never made ({why}): unlock it, for which somebody has to sit at the desktop, or log \
                 in with --store file; the login in it is as it was"
            ),
            Self::TimedOut => write!(
                f,
                "the keyring is locked, and has not answered in {} s: answer its dialog on your desktop and try again, or log in with \
                 --store file; the login in it is as it was",
                LIMIT.as_secs()
            ),
            Self::Missing(why) => write!(
                f,
                "this session has no keyring ({why}): run the command in the session in which you logged in, or log in with --store file"
            ),
            Self::Ambiguous(count) => write!(
                f,
                "the keyring has {count} entries for this profile, and none of them is a grant, so another program has written there: \
                 coze-auth login replaces them, coze-auth logout removes them"
            ),
            Self::NotAGrant => f.write_str(
                "the keyring's entry for this profile is not its grant, so another program has written there: coze-auth login \
                 replaces it",
            ),
            Self::Failed(why) => write!(f, "the keyring failed: {why}; try again"),
        }
    }
}

impl std::error::Error for KeyringError {}

impl From<KeyringError> for StoreError {
    fn from(error: KeyringError) -> Self {
        Self::Other(Arc::new(error))
    }
}

/// The failure, if the keyring is what failed.
pub(crate) fn failure(error: &Error) -> Option<Failure> {
    let (Error::Store(StoreError::Other(cause)) | Error::NotStored(StoreError::Other(cause))) =
        error
    else {
        return None;
    };
    let error = cause.downcast_ref::<KeyringError>()?;
    Some(Failure::new(error.kind(), error.to_string()))
}

/// What is in an entry. It names its key, so that a grant of another app is noticed.
#[derive(Deserialize, Serialize)]
struct Record<'a> {
    version: u32,
    api_base: &'a str,
    client_id: &'a str,
    subject: &'a str,
    #[serde(borrow)]
    grant: &'a RawValue,
}

type Secret = Zeroizing<Vec<u8>>;

fn parse(bytes: &[u8], key: &GrantKey) -> Option<TokenGrant> {
    let record: Record<'_> = serde_json::from_slice(bytes).ok()?;
    let is_own = record.version == VERSION
        && record.api_base == key.api_base()
        && record.client_id == key.client_id()
        && record.subject == key.subject();
    is_own.then(|| TokenGrant::from_secret_json(record.grant.get()).ok())?
}

fn record(grant: &TokenGrant, key: &GrantKey) -> Option<Secret> {
    let secret = grant.to_secret_json();
    let record = Record {
        version: VERSION,
        api_base: key.api_base(),
        client_id: key.client_id(),
        subject: key.subject(),
        grant: serde_json::from_str(secret.expose()).ok()?,
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    serde_json::to_writer(&mut *bytes, &record).ok()?;
    Some(bytes)
}

/// Grants in the keyring.
#[derive(Clone)]
pub(crate) struct KeyringStore {
    /// What has the locks.
    files: FileStore,
    /// Under which user the entry stands: one for each profile of each state folder, whose locks it is under.
    user: String,
}

impl KeyringStore {
    /// The entry of this profile.
    pub(crate) fn new(files: &FileStore, folder: &Path, profile: &ProfileName) -> Self {
        Self {
            files: files.clone(),
            user: format!("{profile} in {}", folder.display()),
        }
    }

    /// Where the grant rests, for people.
    pub(crate) fn place(&self) -> String {
        format!("the keyring, service {SERVICE:?}, user {:?}", self.user)
    }
}

impl GrantStore for KeyringStore {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        let (user, key) = (self.user.clone(), key.clone());
        Ok(limited(move || Found::by(&user)?.grant(&key))?)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let lock = self.files.lock(key, patience)?;
        Ok(Box::new(Held {
            store: self.clone(),
            key: key.clone(),
            _lock: lock,
        }))
    }

    fn notices(&self) -> Option<&Notices> {
        GrantStore::notices(&self.files)
    }
}

/// The right to change one entry.
struct Held {
    store: KeyringStore,
    key: GrantKey,
    _lock: Box<dyn LockedGrant>,
}

impl LockedGrant for Held {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        let (user, key) = (self.store.user.clone(), self.key.clone());
        Ok(limited(move || Found::mended(&user, &key)?.grant(&key))?)
    }

    /// Writes and reads: with a keyring that was never made, or is locked, reading alone looks fine.
    fn prepare(&mut self) -> Result<(), StoreError> {
        let user = self.store.user.clone();
        Ok(limited(move || {
            let (entry, bytes, is_probe) = match Found::by(&user)? {
                Found::One(entry, bytes) => (entry, bytes, false),
                _ => {
                    let probe = entry(&format!("{user} (probe)"))?;
                    (probe.inner, Zeroizing::new(b"probe".to_vec()), true)
                }
            };
            entry.set_secret(&bytes).map_err(of)?;
            let read = entry.get_secret().map(Zeroizing::new).map_err(of)?;
            if is_probe {
                entry.delete_credential().map_err(of)?;
            }
            match read == bytes {
                true => Ok(()),
                false => Err(KeyringError::Failed(
                    "it gives back another text than it was given".to_owned(),
                )),
            }
        })?)
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let (user, key) = (self.store.user.clone(), self.key.clone());
        let bytes = record(grant, &key);
        let bytes = bytes.ok_or_else(|| KeyringError::Failed("no JSON".to_owned()))?;
        limited(move || {
            let entry = match Found::mended(&user, &key)? {
                Found::One(entry, _) => entry,
                Found::None => entry(&user)?.inner,
                // None of them is ours.
                Found::Several(entries) => {
                    remove_all(&entries)?;
                    entry(&user)?.inner
                }
            };
            entry.set_secret(&bytes).map_err(of)
        })?;
        Ok(Saved::Stored)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        let user = self.store.user.clone();
        Ok(limited(move || match Found::by(&user)? {
            Found::None => Ok(()),
            Found::One(entry, _) => entry.delete_credential().map_err(of),
            Found::Several(entries) => remove_all(&entries),
        })?)
    }
}

/// Does one thing with the keyring within the limit, and says why it waits.
fn limited<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    let (done, result) = channel();
    // It may hang for good: then it ends with the process.
    let started = thread::Builder::new()
        .name("coze-auth keyring".to_owned())
        .spawn(move || done.send(work()));
    started.map_err(|error| KeyringError::Failed(error.to_string()))?;
    let first = result.recv_timeout(PATIENCE);
    first.unwrap_or_else(|_| {
        output::tell(
            "coze-auth: waiting for the keyring: if it is locked, answer the dialog on your desktop",
        );
        let second = result.recv_timeout(LIMIT.saturating_sub(PATIENCE));
        second.unwrap_or(Err(KeyringError::TimedOut))
    })
}

fn entry(user: &str) -> Result<Entry, KeyringError> {
    // The error of `new` does not say why.
    if let Err(error) = Entry::store_status() {
        return Err(KeyringError::Missing(error.to_string()));
    }
    Entry::new(SERVICE, user).map_err(of)
}

fn of(error: keyring::Error) -> KeyringError {
    match error {
        keyring::Error::NoStorageAccess(why) => KeyringError::Locked(why.to_string()),
        keyring::Error::NoDefaultStore => KeyringError::Missing(error.to_string()),
        keyring::Error::Ambiguous(entries) => KeyringError::Ambiguous(entries.len()),
        // Its text has no secret, where that of others may.
        keyring::Error::PlatformFailure(why) => KeyringError::Failed(why.to_string()),
        keyring::Error::NoEntry => {
            KeyringError::Failed("the entry has just been removed".to_owned())
        }
        keyring::Error::TooLong(_, most) => {
            KeyringError::Failed(format!("it takes no more than {most} characters"))
        }
        _ => KeyringError::Failed("it cannot do what is asked".to_owned()),
    }
}

/// An entry of whatever program.
type AnyEntry = keyring_core::Entry;

/// What the keyring has for a user name.
enum Found {
    None,
    One(AnyEntry, Secret),
    Several(Vec<AnyEntry>),
}

impl Found {
    fn by(user: &str) -> Result<Self, KeyringError> {
        let entry = entry(user)?.inner;
        match entry.get_secret() {
            Ok(bytes) => Ok(Self::One(entry, Zeroizing::new(bytes))),
            Err(keyring::Error::NoEntry) => Ok(Self::None),
            Err(keyring::Error::Ambiguous(entries)) => Ok(Self::Several(entries)),
            Err(error) => Err(of(error)),
        }
    }

    /// Leaves one entry of several, if one of them is ours: what another program wrote would take reading, writing and the logout away.
    fn mended(user: &str, key: &GrantKey) -> Result<Self, KeyringError> {
        match Self::by(user)? {
            Self::Several(mut entries) => match newest(&entries, key) {
                Some((at, bytes, _)) => {
                    let kept = entries.swap_remove(at);
                    remove_all(&entries)?;
                    Ok(Self::One(kept, bytes))
                }
                None => Ok(Self::Several(entries)),
            },
            found => Ok(found),
        }
    }

    /// The grant of this key.
    fn grant(self, key: &GrantKey) -> Result<Option<TokenGrant>, KeyringError> {
        match self {
            Self::None => Ok(None),
            Self::One(_, bytes) => match parse(&bytes, key) {
                Some(grant) => Ok(Some(grant)),
                None => Err(KeyringError::NotAGrant),
            },
            Self::Several(entries) => match newest(&entries, key) {
                Some((.., grant)) => Ok(Some(grant)),
                None => Err(KeyringError::Ambiguous(entries.len())),
            },
        }
    }
}

/// Of several entries the newest that is a grant of ours, by its place, with its text.
fn newest(entries: &[AnyEntry], key: &GrantKey) -> Option<(usize, Secret, TokenGrant)> {
    let ours = entries.iter().enumerate().filter_map(|(at, entry)| {
        let bytes = Zeroizing::new(entry.get_secret().ok()?);
        let grant = parse(&bytes, key)?;
        Some((at, bytes, grant))
    });
    ours.max_by_key(|(.., grant)| grant.issued_at)
}

fn remove_all(entries: &[AnyEntry]) -> Result<(), KeyringError> {
    entries
        .iter()
        .try_for_each(|entry| entry.delete_credential().map_err(of))
}
