//! Grants in a folder of this machine.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_core::TokenGrant;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{GrantStore, LockedGrant, Saved};
use crate::{GrantKey, StoreError};

/// The version of the file's form.
const VERSION: u32 = 1;
/// More than a grant takes, in bytes.
const ROOM: usize = 8 * 1024;
/// How often a lock is tried for, at first and at most. The system has no way to wait for it that ends.
const FIRST_TRY: Duration = Duration::from_millis(2);
const LAST_TRY: Duration = Duration::from_millis(100);
/// The longest file that is read, many times an answer with a grant.
const LONGEST: u64 = 8 * 1024 * 1024;

/// Grants in files of a folder, one a grant, for any number of processes of this machine.
///
/// A file is readable by its owner alone (0600; the folder is made 0700) and holds JSON with the tokens in
/// the clear: protect it as a password. It is written beside, synced, and renamed, so that whoever reads finds
/// a whole grant, whenever a process was killed. Beside it lies a lock file (`flock`), which the system lets go
/// when its holder dies; so several processes make one renewal. Use a disk of this machine: network file
/// systems differ in what they make of locks.
///
/// # When a process is killed
///
/// Coze rotates the refresh token when it acts on the request. A process that dies after it has sent the request
/// and before the answer is stored takes the only copy of the new refresh token with it. The file then still holds
/// the old grant, whole: its access token works until it ends, and the next renewal, by whichever process, is
/// refused ([`Error::RefreshRefused`](crate::Error::RefreshRefused), and from a process that has been told so
/// [`Error::LoginNeeded`](crate::Error::LoginNeeded)). The person has to log in again. That window is the time
/// from the request to the rename: a round trip, and a sync of the disk. No client can close it without the
/// server's help. At any other moment a kill loses nothing: the lock goes with its holder, and what lies half
/// written beside the file is never read.
#[derive(Clone, Debug)]
pub struct FileStore {
    folder: Arc<Path>,
}

impl FileStore {
    /// Grants in this folder, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] if it cannot be made.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&folder)
            .map_err(|cause| failed("make", &folder, cause))?;
        Ok(Self {
            folder: folder.into(),
        })
    }

    /// The file of a grant. It need not be there.
    pub fn path(&self, key: &GrantKey) -> PathBuf {
        self.folder.join(format!("{}.json", key.id()))
    }
}

impl GrantStore for FileStore {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        read(&self.path(key), key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let path = self.path(key);
        let lock_path = path.with_extension("lock");
        // Never removed by us: who locks a file that was unlinked holds nothing.
        let open = || {
            let file = owners_file().create(true).open(&lock_path);
            file.map_err(|cause| failed("open", &lock_path, cause))
        };
        let mut file = open()?;
        let begun = Instant::now();
        let mut pause = FIRST_TRY;
        loop {
            match file.try_lock() {
                Ok(()) if stands_at(&file, &lock_path) => break,
                // An over-eager cleaner removed it meanwhile, and the next one locks a new file.
                Ok(()) => file = open()?,
                Err(TryLockError::Error(cause)) => {
                    return Err(failed("lock", &lock_path, cause));
                }
                Err(TryLockError::WouldBlock) if begun.elapsed() >= patience => {
                    return Err(StoreError::Locked { waited: patience });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(pause),
            }
            pause = (pause * 2).min(LAST_TRY);
        }
        Ok(Box::new(Held {
            folder: self.folder.clone(),
            key: key.clone(),
            path,
            prepared: None,
            _lock: file,
        }))
    }
}

/// The lock goes with the file that holds it.
struct Held {
    folder: Arc<Path>,
    key: GrantKey,
    path: PathBuf,
    /// The file beside, with room for a grant.
    prepared: Option<File>,
    _lock: File,
}

impl LockedGrant for Held {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        read(&self.path, &self.key)
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        let beside = self.beside();
        let room = create(&beside).and_then(|mut file| {
            file.write_all(&[b' '; ROOM])?;
            file.sync_all()?;
            Ok(file)
        });
        self.prepared = Some(room.map_err(|cause| failed("write", &beside, cause))?);
        Ok(())
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        if matches!(self.load(), Err(StoreError::Corrupt { .. })) {
            self.keep_aside()?;
        }
        let beside = self.beside();
        let written = match self.prepared.take() {
            Some(file) => Ok(file),
            None => create(&beside),
        };
        let written = written
            .and_then(|file| write(file, &self.key, grant))
            .map_err(|cause| failed("write", &beside, cause))
            .and_then(|()| {
                fs::rename(&beside, &self.path).map_err(|cause| failed("write", &self.path, cause))
            });
        if written.is_err() {
            // Tokens that nobody looks for. What went wrong is told already.
            let _ = fs::remove_file(&beside);
        }
        written?;
        self.sync_folder()?;
        Ok(Saved::Stored)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        // With what a killed process may have left beside: a refresh token that lives.
        for path in [&self.path, &self.beside()] {
            remove(path).map_err(|cause| failed("remove", path, cause))?;
        }
        self.sync_folder()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Room that was not needed. What cannot be removed is overwritten the next time.
        if self.prepared.is_some() {
            let _ = fs::remove_file(self.beside());
        }
    }
}

impl Held {
    /// One name for all: under the lock there is one writer, and what a killed one left is overwritten.
    fn beside(&self) -> PathBuf {
        self.path.with_extension("tmp")
    }

    /// Gives a damaged file another name, the first that is free.
    fn keep_aside(&self) -> Result<(), StoreError> {
        let aside = (1..)
            .map(|number| self.path.with_extension(format!("corrupt-{number}")))
            .find(|aside| !aside.exists())
            .unwrap_or_else(|| self.path.with_extension("corrupt"));
        fs::rename(&self.path, &aside).map_err(|cause| failed("keep aside", &self.path, cause))
    }

    /// A rename is on the disk when its folder is.
    fn sync_folder(&self) -> Result<(), StoreError> {
        // A folder cannot be opened on Windows, whose renames are journalled.
        if cfg!(unix) {
            File::open(&self.folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|cause| failed("sync", &self.folder, cause))?;
        }
        Ok(())
    }
}

/// A file that its owner alone can read and write.
fn owners_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Whether the path still leads to this file.
fn stands_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        matches!(
            (file.metadata().map(id), fs::metadata(path).map(id)),
            (Ok(own), Ok(there)) if own == there
        )
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

fn failed(doing: &'static str, path: &Path, cause: io::Error) -> StoreError {
    StoreError::File {
        doing,
        path: path.to_owned(),
        cause: Arc::new(cause),
    }
}

/// The file's form. It names its key, for people who look, and so that a copy under another name is noticed.
#[derive(Deserialize, Serialize)]
struct Record<'a> {
    version: u32,
    #[serde(borrow)]
    api_base: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    grant: &'a RawValue,
}

/// A new file. A leftover may have been made by someone else, with another mode.
fn create(path: &Path) -> io::Result<File> {
    remove(path)?;
    owners_file().create_new(true).open(path)
}

fn write(mut file: File, key: &GrantKey, grant: &TokenGrant) -> io::Result<()> {
    let secret = grant.to_secret_json();
    let record = Record {
        version: VERSION,
        api_base: key.api_base().into(),
        client_id: key.client_id().into(),
        subject: key.subject().into(),
        grant: serde_json::from_str(secret.expose())?,
    };
    let mut json = Zeroizing::new(Vec::with_capacity(ROOM));
    serde_json::to_writer(&mut *json, &record)?;
    json.push(b'\n');
    file.rewind()?;
    file.write_all(&json)?;
    file.set_len(json.len() as u64)?;
    file.sync_all()
}

/// Sees to it that there is no such file.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

fn read(path: &Path, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
    let mut json = Zeroizing::new(String::new());
    let read = File::open(path).and_then(|file| {
        // Room for all of it, or it would be copied while it grows to memory that nobody wipes.
        let length = file.metadata()?.len().min(LONGEST);
        json.reserve(usize::try_from(length).unwrap_or(0) + 1);
        file.take(LONGEST).read_to_string(&mut json)
    });
    match read {
        // What was cut off is no JSON.
        Ok(_) => {}
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Not UTF-8.
        Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            return Err(StoreError::Corrupt {
                path: path.to_owned(),
            });
        }
        Err(cause) => return Err(failed("read", path, cause)),
    }
    let grant = parse(&json, key).ok_or_else(|| StoreError::Corrupt {
        path: path.to_owned(),
    });
    grant.map(Some)
}

fn parse(json: &str, key: &GrantKey) -> Option<TokenGrant> {
    let record: Record<'_> = serde_json::from_str(json).ok()?;
    let own = record.version == VERSION
        && record.api_base == key.api_base()
        && record.client_id == key.client_id()
        && record.subject == key.subject();
    own.then(|| TokenGrant::from_secret_json(record.grant.get()).ok())?
}
