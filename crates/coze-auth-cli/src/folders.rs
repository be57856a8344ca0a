//! Where profiles and grants rest (XDG Base Directory Specification).

use std::env;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Kind};

/// Profiles, which hold no secret.
pub(crate) fn config() -> Result<PathBuf, Failure> {
    folder("XDG_CONFIG_HOME", ".config", "APPDATA")
}

/// Grants.
pub(crate) fn state() -> Result<PathBuf, Failure> {
    folder("XDG_STATE_HOME", ".local/state", "LOCALAPPDATA")
}

fn folder(variable: &str, below_home: &str, on_windows: &str) -> Result<PathBuf, Failure> {
    // A relative path is to be ignored, says the specification.
    let absolute = |name: &str| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let base = absolute(variable).or_else(|| match cfg!(windows) {
        true => absolute(on_windows),
        false => absolute("HOME").map(|home| home.join(below_home)),
    });
    let base = base.ok_or_else(|| {
        Failure::new(
            Kind::Settings,
            format!(
                "no folder is known to keep logins in: set HOME, or {variable} to an absolute path"
            ),
        )
    })?;
    Ok(base.join("coze-auth"))
}

/// Makes a folder that its owner alone can enter, if it is not there.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// How a file is opened that its owner alone can read and write. No link is followed, and a FIFO is not waited for.
pub(crate) fn owners_file() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        use rustix::fs::OFlags;
        let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options
            .mode(0o600)
            .custom_flags(careful.bits().cast_signed());
    }
    options
}

/// The text of a file that decides what is done with tokens: our own or root's, which nobody else may write to. A link is followed,
/// since programs that lay out a home make them.
pub(crate) fn read(path: &Path, longest: u64) -> io::Result<String> {
    let other = |why: &str| Err(io::Error::other(why.to_owned()));
    // Before it is opened: a FIFO or device would be waited for.
    let there = path.metadata()?;
    if !there.is_file() {
        return other("it is not a file");
    }
    let file = File::open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        let opened = file.metadata()?;
        let user = rustix::process::geteuid().as_raw();
        if ![user, 0].contains(&opened.uid()) {
            return other("it is another user's");
        }
        if opened.mode() & 0o022 != 0 {
            return other("others may write to it: look at what it says, then chmod go-w");
        }
    }
    let mut text = String::new();
    file.take(longest + 1).read_to_string(&mut text)?;
    match text.len() as u64 > longest {
        true => other("it is too long"),
        false => Ok(text),
    }
}
