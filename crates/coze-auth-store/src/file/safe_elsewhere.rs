//! On systems without owners and modes of Unix nothing is looked at: the folder's own rights protect what is in it.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::path::{Path, PathBuf};

use crate::StoreError;

pub(super) fn for_the_owner(_: &mut OpenOptions) {}

pub(super) fn for_the_owner_folder(_: &mut DirBuilder) {}

pub(super) fn resolved(path: &Path, _: bool) -> Result<PathBuf, StoreError> {
    Ok(path.to_owned())
}

pub(super) fn keep_folder(_: &Path) -> Result<Option<String>, StoreError> {
    Ok(None)
}

pub(super) fn judge(path: &Path, there: &Metadata) -> Result<(), StoreError> {
    match there.is_dir() {
        true => Err(StoreError::NotAFile {
            path: path.to_owned(),
            found: "folder",
        }),
        false => Ok(()),
    }
}

pub(super) fn keep_file(_: &Path, _: &File, _: &Metadata) -> Option<String> {
    None
}

pub(super) fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}
