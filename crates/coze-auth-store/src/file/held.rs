//! The right to change one file.

use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coze_auth_core::TokenGrant;

use super::folder::{Folder, failed, failed_at, owners_file, remove};
use super::record;
use crate::store::{LockedGrant, Saved};
use crate::{GrantKey, StoreError};

/// How the ending of a damaged file begins that is kept aside; a number follows.
const ASIDE: &str = "corrupt-";

/// The lock goes with the file that holds it.
pub(super) struct Held {
    folder: Arc<Folder>,
    key: GrantKey,
    path: PathBuf,
    /// The file beside, with room for a grant.
    prepared: Option<File>,
    _lock: File,
}

impl Held {
    pub(super) fn new(folder: Arc<Folder>, key: GrantKey, path: PathBuf, lock: File) -> Self {
        Self {
            folder,
            key,
            path,
            prepared: None,
            _lock: lock,
        }
    }
}

impl LockedGrant for Held {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        record::load(&self.folder, &self.path, &self.key)
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        match self.load() {
            Ok(_) | Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut room = record::ROOM;
        if let Some(bytes) = record::bytes(&self.folder, &self.path)? {
            room = room.max(2 * bytes.len());
            // What `save` will do is done once while it costs nothing: the file is replaced by a copy of itself.
            if bytes.len() < record::LONGEST {
                self.put(None, &bytes, false)?;
            }
        }
        let mut file = self.create()?;
        let written = file
            .write_all(&vec![b' '; room])
            .and_then(|()| file.sync_all());
        // Also what there is of a failure goes when this is dropped.
        self.prepared = Some(file);
        written.map_err(|cause| failed("write", &self.beside(), cause))
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let is_damaged = match self.load() {
            // What cannot be read is replaced. What must not be touched is not.
            Ok(_) | Err(StoreError::File { .. }) => false,
            Err(StoreError::Corrupt { .. }) => true,
            Err(error) => return Err(error),
        };
        let bytes =
            record::of(grant, &self.key).map_err(|cause| failed("write", &self.beside(), cause))?;
        let prepared = self.prepared.take();
        self.put(prepared, &bytes, is_damaged)?;
        Ok(Saved::Stored)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        // With what a killed process may have left beside, and what was kept aside: refresh tokens that live.
        let aside = self.all_kept_aside();
        let own = [self.path.clone(), self.beside()];
        let mut outcome = Ok(());
        for path in own.iter().chain(aside.iter().flatten()) {
            let removed = remove(path).map_err(|cause| failed_at("remove", path, cause));
            outcome = outcome.and(removed);
        }
        outcome?;
        aside?;
        self.folder.sync()
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
    /// One name for all: under the lock there is one writer, and what one left that died is overwritten.
    fn beside(&self) -> PathBuf {
        self.path.with_extension("tmp")
    }

    /// A new file beside. A leftover may have been made by someone else, with another mode.
    fn create(&self) -> Result<File, StoreError> {
        let beside = self.beside();
        remove(&beside)
            .and_then(|()| owners_file().write(true).create_new(true).open(&beside))
            .map_err(|cause| failed_at("write", &beside, cause))
    }

    /// Puts this in the place of what is in the grant's file: written to the file beside, synced, renamed.
    fn put(&self, beside: Option<File>, bytes: &[u8], is_damaged: bool) -> Result<(), StoreError> {
        let file = match beside {
            Some(file) => file,
            None => self.create()?,
        };
        let beside = self.beside();
        let renamed = write(file, bytes)
            .map_err(|cause| failed("write", &beside, cause))
            .and_then(|()| match is_damaged {
                true => self.keep_aside(),
                false => Ok(()),
            })
            .and_then(|()| self.rename(&beside, &self.path));
        if renamed.is_err() {
            // Tokens that nobody looks for. What went wrong is told already.
            let _ = fs::remove_file(&beside);
        }
        renamed?;
        self.folder.sync()
    }

    /// Gives a damaged file another name, the first that is free.
    fn keep_aside(&self) -> Result<(), StoreError> {
        let aside = (1..)
            .map(|number| self.path.with_extension(format!("{ASIDE}{number}")))
            .find(|aside| fs::symlink_metadata(aside).is_err())
            .unwrap_or_else(|| self.path.with_extension(ASIDE));
        self.rename(&self.path, &aside)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        // Whichever of both it is, it is the grant's file that can be a mount.
        fs::rename(from, to).map_err(|cause| failed_at("replace", &self.path, cause))
    }

    fn all_kept_aside(&self) -> Result<Vec<PathBuf>, StoreError> {
        let begins = format!("{}.{ASIDE}", self.key.id());
        let all = fs::read_dir(self.folder.path()).and_then(|entries| {
            let paths = entries.map(|entry| Ok(entry?.file_name()));
            paths.collect::<io::Result<Vec<_>>>()
        });
        let mut names = all.map_err(|cause| failed("list", self.folder.path(), cause))?;
        names.retain(|name| name.to_str().is_some_and(|name| name.starts_with(&begins)));
        Ok(names
            .iter()
            .map(|name| self.folder.path().join(name))
            .collect())
    }
}

fn write(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}
