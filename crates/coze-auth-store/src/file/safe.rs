//! What of a folder and its files may be trusted: only what is ours, and nobody else can write to.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
    PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

use super::folder::failed;
use crate::StoreError;

const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

fn flags(flags: OFlags) -> i32 {
    // The same bits: `open` takes them signed.
    flags.bits().cast_signed()
}

/// No link is followed, and a FIFO is not waited for.
pub(super) fn for_the_owner(options: &mut OpenOptions) {
    let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    options.mode(0o600).custom_flags(flags(careful));
}

pub(super) fn for_the_owner_folder(builder: &mut DirBuilder) {
    builder.mode(0o700);
}

/// Where the folder is, once and for all. A link that somebody has put there leads to where he wants the grants.
pub(super) fn resolved(path: &Path, shared: bool) -> Result<PathBuf, StoreError> {
    let there = fs::symlink_metadata(path).map_err(|cause| failed("find", path, cause))?;
    let user = geteuid().as_raw();
    if !shared && there.is_symlink() && ![user, 0].contains(&there.uid()) {
        return Err(StoreError::FolderOfAnother {
            path: path.to_owned(),
            owner: there.uid(),
            user,
        });
    }
    fs::canonicalize(path).map_err(|cause| failed("find", path, cause))
}

/// Closes our own folder to others. What was changed is told.
pub(super) fn keep_folder(path: &Path) -> Result<Option<String>, StoreError> {
    let mut options = OpenOptions::new();
    let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::DIRECTORY;
    options.read(true).custom_flags(flags(careful));
    let open = || {
        let folder = options.open(path)?;
        let metadata = folder.metadata()?;
        Ok((folder, metadata))
    };
    let (folder, metadata) = open().map_err(|cause| failed("open", path, cause))?;
    let user = geteuid().as_raw();
    if metadata.uid() != user {
        return Err(StoreError::FolderOfAnother {
            path: path.to_owned(),
            owner: metadata.uid(),
            user,
        });
    }
    let mode = mode(&metadata);
    if mode & OTHERS_WRITE == 0 {
        return Ok(None);
    }
    let of_all = || StoreError::FolderOfAll {
        path: path.to_owned(),
        mode,
    };
    // Somebody wants it so: /tmp is root's own folder.
    if mode & STICKY != 0 {
        return Err(of_all());
    }
    match set_mode(&folder, 0o700) {
        Ok(now) if now & OTHERS_WRITE == 0 => Ok(Some(format!(
            "others could write to {} (mode {mode:04o}): it is set to 0700, and what was in it may be theirs",
            path.display()
        ))),
        Ok(_) => Err(of_all()),
        // Nobody can write to it.
        Err(cause) if cause.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(None),
        Err(cause) => Err(failed("protect", path, cause)),
    }
}

/// Whether what stands in the place of a file is a file of ours.
pub(super) fn judge(path: &Path, there: &Metadata) -> Result<(), StoreError> {
    let kind = there.file_type();
    if !kind.is_file() {
        let found = match kind {
            kind if kind.is_symlink() => "symbolic link",
            kind if kind.is_dir() => "folder",
            kind if kind.is_fifo() => "FIFO",
            kind if kind.is_socket() => "socket",
            _ => "device",
        };
        return Err(StoreError::NotAFile {
            path: path.to_owned(),
            found,
        });
    }
    let user = geteuid().as_raw();
    if there.uid() != user {
        return Err(StoreError::OfAnother {
            path: path.to_owned(),
            owner: there.uid(),
            user,
        });
    }
    Ok(())
}

/// Closes our own file to others. A file that cannot be closed is read all the same. Either is told.
pub(super) fn keep_file(path: &Path, file: &File, metadata: &Metadata) -> Option<String> {
    let mode = mode(metadata);
    if mode & OTHERS == 0 {
        return None;
    }
    let outcome = match set_mode(file, 0o600) {
        Ok(now) if now & OTHERS == 0 => "is set to 0600".to_owned(),
        Ok(_) => "stays so: its file system keeps no modes".to_owned(),
        Err(cause) => format!("stays so: {cause}"),
    };
    Some(format!(
        "{} was open to others (mode {mode:04o}), and {outcome}; if anybody else was on this machine, log in again",
        path.display()
    ))
}

pub(super) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

/// What the mode is then: not every file system keeps one.
fn set_mode(file: &File, to: u32) -> io::Result<u32> {
    file.set_permissions(Permissions::from_mode(to))?;
    Ok(mode(&file.metadata()?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use rustix::io::Errno;

    use super::*;

    /// What is put there between the look at a file and its opening finds these flags alone.
    #[test]
    fn what_is_opened_is_neither_followed_nor_waited_for() {
        let name = format!("coze-auth-store-{}-flags", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a folder");
        let (link, fifo) = (folder.join("link"), folder.join("fifo"));
        std::os::unix::fs::symlink(folder.join("file"), &link).expect("a link");
        fs::write(folder.join("file"), "").expect("a file");
        let made = Command::new("mkfifo").arg(&fifo).status();
        assert!(made.expect("mkfifo").success());

        let mut options = OpenOptions::new();
        for_the_owner(&mut options);
        options.read(true);
        let followed = options.open(&link).expect_err("a link");
        assert_eq!(followed.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        let (told, tell) = mpsc::channel();
        thread::spawn(move || told.send(options.open(&fifo).is_ok()));
        let opened = tell.recv_timeout(Duration::from_secs(10));
        assert_eq!(opened, Ok(true), "it waits for somebody who writes");
        fs::remove_dir_all(&folder).expect("the folder");
    }
}
