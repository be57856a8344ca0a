//! The folder of a store: how it and the files in it are opened.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::safe;
use crate::{Notices, StoreError};

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    shared: bool,
    notices: Notices,
}

/// What a path says that nobody means.
fn mistaken(path: &Path) -> Option<&'static str> {
    if path.as_os_str().is_empty() {
        return Some("the name of the folder is empty");
    }
    path.starts_with("~")
        .then_some("~ is not replaced here, as a shell does; write ./~ if that is its name")
}

impl Folder {
    /// A folder that nobody else may write to.
    pub(super) fn own(path: PathBuf) -> Result<Self, StoreError> {
        Self::new(path, false)
    }

    /// A folder of whomever.
    pub(super) fn shared(path: PathBuf) -> Result<Self, StoreError> {
        Self::new(path, true)
    }

    fn new(path: PathBuf, shared: bool) -> Result<Self, StoreError> {
        if let Some(why) = mistaken(&path) {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, why);
            return Err(failed("find", &path, cause));
        }
        let whole = std::path::absolute(&path).map_err(|cause| failed("find", &path, cause))?;
        // Without a slash at its end, behind which a link looks like what it leads to.
        let whole: PathBuf = whole.components().collect();
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        safe::for_the_owner_folder(&mut builder);
        builder.create(&whole).map_err(|cause| {
            let cause = match cause.kind() {
                io::ErrorKind::AlreadyExists => io::Error::new(
                    io::ErrorKind::NotADirectory,
                    "it is there and is not a folder",
                ),
                _ => cause,
            };
            failed("make", &whole, cause)
        })?;
        let folder = Self {
            path: safe::resolved(&whole, shared)?,
            shared,
            notices: Notices::default(),
        };
        folder.check()?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sees to it that nobody else can write to the folder, unless it is shared.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if !self.shared
            && let Some(notice) = safe::keep_folder(&self.path)?
        {
            self.notices.note(notice);
        }
        Ok(())
    }

    /// Opens a file of ours, and nothing else. Waits for nobody, whatever stands there.
    pub(super) fn open(
        &self,
        options: &OpenOptions,
        doing: &'static str,
        path: &Path,
    ) -> Result<File, StoreError> {
        // Before it is opened: a device could act on that alone.
        if let Ok(there) = fs::symlink_metadata(path) {
            safe::judge(path, &there)?;
        }
        let open = || {
            let file = options.open(path)?;
            let metadata = file.metadata()?;
            Ok((file, metadata))
        };
        let (file, metadata) = open().map_err(|cause| failed(doing, path, cause))?;
        safe::judge(path, &metadata)?;
        if let Some(notice) = safe::keep_file(path, &file, &metadata) {
            self.notices.note(notice);
        }
        Ok(file)
    }

    /// A rename is on the disk when its folder is.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        // A folder cannot be opened on Windows, whose renames are journalled.
        if cfg!(unix) {
            File::open(&self.path)
                .and_then(|folder| folder.sync_all())
                .map_err(|cause| failed("sync", &self.path, cause))?;
        }
        Ok(())
    }

    pub(super) fn notices(&self) -> &Notices {
        &self.notices
    }
}

/// How a file is opened that its owner alone can read and write.
pub(super) fn owners_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    safe::for_the_owner(&mut options);
    options
}

/// Removes a file of this name, if there is one.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

/// Why a file could not be replaced or removed: what stands there, if that is why; else what the system said.
pub(super) fn failed_at(doing: &'static str, path: &Path, cause: io::Error) -> StoreError {
    let there = fs::symlink_metadata(path);
    if let Err(error) = there.map_or(Ok(()), |there| safe::judge(path, &there)) {
        return error;
    }
    match cause.kind() {
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices => StoreError::MountPoint {
            path: path.to_owned(),
        },
        _ => failed(doing, path, cause),
    }
}

pub(super) fn failed(doing: &'static str, path: &Path, cause: io::Error) -> StoreError {
    StoreError::File {
        doing,
        path: path.to_owned(),
        cause: Arc::new(cause),
    }
}
