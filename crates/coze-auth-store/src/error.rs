//! Why a grant could not be read or stored.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::error::{ErrorKind, report};

/// What a library or the system said, to be had by `downcast_ref`.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// How long to wait at least for what passes by itself.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a grant could not be read or stored.
#[derive(Clone)]
#[non_exhaustive]
pub enum StoreError {
    /// The file's content is not a grant: damaged, cut off, or of another key.
    /// It is left as it is; a new login keeps it aside under another name.
    Corrupt {
        /// Which file.
        path: PathBuf,
    },
    /// The file was written by a newer version of this library, in a form that is not known here. Nothing replaces it.
    Newer {
        /// Which file.
        path: PathBuf,
        /// The version of its form.
        version: u64,
    },
    /// The file belongs to another user, who may have planted it. It is not read, and nothing replaces it.
    OfAnother {
        /// Which file.
        path: PathBuf,
        /// Whose it is: a user id.
        owner: u32,
        /// Who this process runs as: a user id.
        user: u32,
    },
    /// In the place of a file there is something else. It is not opened, and nothing replaces it.
    NotAFile {
        /// Which place.
        path: PathBuf,
        /// What it is: `symbolic link`, `folder`, `FIFO`, `socket`, `device`.
        found: &'static str,
    },
    /// The folder of grants, or the link in its place, belongs to another user, who can take files away or exchange it.
    FolderOfAnother {
        /// Which folder.
        path: PathBuf,
        /// Whose it is: a user id.
        owner: u32,
        /// Who this process runs as: a user id.
        user: u32,
    },
    /// Others may write to the folder of grants, and it cannot be closed to them: it is sticky, as `/tmp` is, or its
    /// file system keeps no modes.
    FolderOfAll {
        /// Which folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file can be neither replaced by one beside it nor removed, as when it is a mount of its own.
    MountPoint {
        /// Which file.
        path: PathBuf,
    },
    /// A file operation failed.
    File {
        /// What was tried: `read`, `write`.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        cause: Arc<io::Error>,
    },
    /// Someone else has been changing the grant for longer than was waited.
    Locked {
        /// How long that was.
        waited: Duration,
    },
    /// The store has not answered. What it was told to do may be done all the same.
    Unanswered {
        /// How long was waited.
        waited: Duration,
    },
    /// The store said again and again that someone else has just stored another grant, and had none to show.
    Superseded,
    /// What an engine holds is not a grant: damaged, or not of this store. It is left as it is; a new login replaces it.
    Damaged {
        /// What: the value of which key or row.
        what: String,
    },
    /// An engine failed, or refused: Redis, a database. Its words say whose fault it is, and what to do.
    Engine {
        /// What to do about it.
        kind: ErrorKind,
        /// What happened and what to do, for a person. Never a secret or a value.
        what: Cow<'static, str>,
        /// What its client or the system said, if that is more, and holds no value.
        cause: Option<Cause>,
    },
    /// A store of another kind failed.
    Other(Cause),
}

/// Our own words, or the kind of what the system said, which is the same on all of them.
struct Why<'a>(&'a io::Error);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get_ref() {
            Some(words) => fmt::Display::fmt(words, f),
            None => fmt::Display::fmt(&self.0.kind(), f),
        }
    }
}

impl StoreError {
    /// Returns true if what is stored cannot be read, and a new grant may take its place.
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Damaged { .. })
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } | Self::Damaged { .. } => ErrorKind::LoginNeeded,
            Self::File { cause, .. } => match cause.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::IsADirectory
                // A path that cannot be one, or where something else stands; a file system without locks.
                | io::ErrorKind::AlreadyExists
                | io::ErrorKind::InvalidFilename
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Unsupported => ErrorKind::Settings,
                // A full disk, a busy one: the same is tried again.
                _ => ErrorKind::Wait(PAUSE),
            },
            Self::Engine { kind, .. } => *kind,
            Self::Newer { .. }
            | Self::OfAnother { .. }
            | Self::NotAFile { .. }
            | Self::FolderOfAnother { .. }
            | Self::FolderOfAll { .. }
            | Self::MountPoint { .. } => ErrorKind::Settings,
            Self::Locked { .. } | Self::Unanswered { .. } | Self::Superseded | Self::Other(_) => {
                ErrorKind::Wait(PAUSE)
            }
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { path } => write!(
                f,
                "{} is damaged: it holds no grant; log in again, and it is kept aside",
                path.display()
            ),
            Self::Newer { path, version } => write!(
                f,
                "{} was written by a newer version of this library (its form is {version}, this one knows up to {}): \
                 update this program, or run the newer one",
                path.display(),
                crate::file::VERSION
            ),
            Self::OfAnother { path, owner, user } => {
                let quoted = quoted(path);
                write!(
                    f,
                    "{} belongs to user {owner}, and this program runs as user {user}, so it is not trusted. If you \
                     put it there, run as root: chown {user} {quoted}; if not, run as root: rm {quoted}",
                    path.display()
                )
            }
            Self::NotAFile { path, found } => write!(
                f,
                "{} is a {found} and not a file, so it is not touched. Run: {} {}",
                path.display(),
                if *found == "folder" { "rmdir" } else { "rm" },
                quoted(path)
            ),
            Self::FolderOfAnother { path, owner, user } => {
                let quoted = quoted(path);
                write!(
                    f,
                    "{} belongs to user {owner}, and this program runs as user {user}, so grants are not safe there. \
                     Run as root: chown -h {user} {quoted}; or, if it is shared on purpose, take \
                     FileStore::in_shared_folder",
                    path.display()
                )
            }
            Self::FolderOfAll { path, mode } => write!(
                f,
                "others may write to {} (mode {mode:04o}), so grants are not safe there, and it is not closed to them: \
                 take a folder of its own, such as one below it; or, if it is shared on purpose, \
                 FileStore::in_shared_folder",
                path.display()
            ),
            Self::MountPoint { path } => write!(
                f,
                "{} can be neither replaced nor removed: it seems to be a mount of its own (docker run -v FILE:FILE). Mount its folder \
                 instead",
                path.display()
            ),
            Self::File { doing, path, cause } => write!(
                f,
                "cannot {doing} {}: {}; check the folder, its owner and the disk",
                path.display(),
                Why(cause)
            ),
            Self::Locked { waited } => write!(
                f,
                "another process or thread has been renewing this grant for {} s; is it stopped?",
                waited.as_secs()
            ),
            Self::Unanswered { waited } => write!(
                f,
                "the store of grants has not answered in {} s: it hangs, or is slow; look at its disk or its server",
                waited.as_secs_f64()
            ),
            Self::Superseded => f.write_str(
                "the store of grants refuses every write as superseded: its lock has ended, or it does not compare \
                 with what was loaded last",
            ),
            Self::Damaged { what } => write!(
                f,
                "{what} is damaged: it holds no grant; log in again, which replaces it"
            ),
            Self::Engine { what, .. } => f.write_str(what),
            Self::Other(_) => f.write_str("the store of grants failed"),
        }
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { cause, .. } => Some(&**cause),
            Self::Engine { cause, .. } => cause.as_ref().map(|cause| {
                let cause: &(dyn std::error::Error + 'static) = &**cause;
                cause
            }),
            Self::Other(cause) => Some(&**cause),
            _ => None,
        }
    }
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=@%:,".contains(c);
    match text.chars().all(is_plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}
