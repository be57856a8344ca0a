//! Grants in a folder of this machine.

mod folder;
mod held;
mod record;
#[cfg_attr(not(unix), path = "file/safe_elsewhere.rs")]
mod safe;

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_core::TokenGrant;

use self::folder::{Folder, failed};
use self::held::Held;
pub(crate) use self::record::VERSION;
use crate::store::{GrantStore, LockedGrant};
use crate::{GrantKey, Notices, StoreError};

/// How often a lock is tried for, at first and at most. The system has no way to wait for it that ends.
const FIRST_TRY: Duration = Duration::from_millis(2);
const LAST_TRY: Duration = Duration::from_millis(100);

/// Grants in files of a folder, one a grant, for any number of processes of this machine.
///
/// A file is readable by its owner alone (0600; the folder is made 0700) and holds JSON with the tokens in
/// the clear: protect it as a password. It is written beside, synced, and renamed, so that a reader finds
/// a whole grant, whenever a process dies. Beside it lies a lock file (`flock`), which the system releases
/// when its holder dies; so several processes make one renewal. Use a disk of this machine: network file
/// systems differ in what they make of locks.
///
/// # What is trusted
///
/// On Unix what others may have put there is not taken:
///
/// | what | is |
/// |---|---|
/// | a folder of another user, or a link to one that another user made | refused ([`StoreError::FolderOfAnother`]), unless the store is told that the folder is shared ([`in_shared_folder`](Self::in_shared_folder)) |
/// | our own folder that others may write to | set to 0700, and told ([`notices`](Self::notices)); refused ([`StoreError::FolderOfAll`]) if it is sticky as `/tmp` is, which is on purpose, or if its file system keeps no modes |
/// | a grant or lock of another user | refused ([`StoreError::OfAnother`]) |
/// | a symbolic link, FIFO, socket, device or folder in the place of a grant or lock | refused at once ([`StoreError::NotAFile`]), and never opened |
/// | our own grant or lock that others may read or write | set to 0600, and told |
///
/// A folder that is a link is resolved once, and what it leads to is judged. The folder is judged again
/// before each change, the files at each use. Not looked at are the folders above: who may write to one of them
/// can take the whole folder away, though not put one of his own in its place. Root may do anything.
///
/// # What cannot be written
///
/// Before a refresh token is spent the store does what it will do afterwards: it replaces the grant's file by a copy
/// of itself, then writes and syncs the room for the new one. So a full disk, a quota, a folder or file that must not
/// be written, and a file that is a mount of its own (`docker run -v grant.json:…`, [`StoreError::MountPoint`]) are
/// told while the login is still good. Such a mount is refused rather than written in place: neither the lock nor a
/// copy that could heal a half written file would be shared by those who mount it. Mount the folder.
///
/// # When a process is ended by force
///
/// Coze rotates the refresh token when it acts on the request. A process that dies after it has sent the request
/// and before the answer is stored takes the only copy of the new refresh token with it. The file then still holds
/// the old grant, whole: its access token works until it ends, and the next renewal, by whichever process, is
/// refused (`Error::RefreshRefused` of a token source, and from a process that has been told so
/// `Error::LoginNeeded`). The person has to log in again. That window is the time
/// from the request to the rename: a round trip, and a sync of the disk. No client can close it without the
/// server's help. At any other moment nothing is lost: the lock goes with its holder, and what lies half
/// written beside the file is never read.
///
/// ```
/// use coze_auth_store::core::{Endpoints, device::DeviceApp};
/// use coze_auth_store::{FileStore, GrantKey, GrantStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("coze-auth-example-{}", std::process::id()));
/// let store = FileStore::new(&folder)?; // hand it to a token source
/// store.notices().iter().for_each(|notice| eprintln!("{notice}"));
/// let key = GrantKey::new(&DeviceApp::new(Endpoints::cn(), "1234.app.coze")?.into(), "alice")?;
/// assert!(store.load(&key)?.is_none()); // nobody has logged in yet
/// assert!(store.path(&key).starts_with(&folder));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    folder: Arc<Folder>,
}

impl FileStore {
    /// Grants in this folder of our own, which is made if it is not there. A relative path counts from where the
    /// process stands now, wherever it goes later; `~` is not the home that it is in a shell, and is refused.
    ///
    /// # Errors
    ///
    /// [`StoreError::FolderOfAnother`] and [`StoreError::FolderOfAll`] if it is not ours alone,
    /// [`StoreError::File`] if it can be neither made nor read.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::within(Folder::own(folder.into())?)
    }

    /// Grants in a folder that others may write to, too, or that belongs to somebody else: an `emptyDir` of
    /// Kubernetes is root's and 0777. Whose it is and who may write to it is not looked at then; of the files in it
    /// only our own are taken. The others cannot read a grant, but they can remove it.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] if it can be neither made nor read.
    pub fn in_shared_folder(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::within(Folder::shared(folder.into())?)
    }

    fn within(folder: Folder) -> Result<Self, StoreError> {
        Ok(Self {
            folder: Arc::new(folder),
        })
    }

    /// The file of a grant. It need not be there.
    pub fn path(&self, key: &GrantKey) -> PathBuf {
        self.folder.path().join(format!("{}.json", key.id()))
    }

    /// What this store and its clones have set right by themselves, each a sentence for a log: a folder that others
    /// could write to, a file that they could read. Those who could have may have done so. An observer of the
    /// token sources over it is told each of them, too (`EventKind::Notice`).
    pub fn notices(&self) -> Vec<String> {
        self.folder.notices().all()
    }
}

impl GrantStore for FileStore {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        record::load(&self.folder, &self.path(key), key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        // Somebody may have opened or exchanged it since.
        self.folder.check()?;
        let path = self.path(key);
        let lock_path = path.with_extension("lock");
        // Never removed by us: who locks a file that was unlinked holds nothing.
        let open = || {
            let mut options = folder::owners_file();
            self.folder
                .open(options.write(true).create(true), "open", &lock_path)
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
        Ok(Box::new(Held::new(
            self.folder.clone(),
            key.clone(),
            path,
            file,
        )))
    }

    fn notices(&self) -> Option<&Notices> {
        Some(self.folder.notices())
    }
}

/// Whether the path still leads to this file.
fn stands_at(file: &std::fs::File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(own), Ok(there)) => safe::is_same(&own, &there),
        _ => false,
    }
}
