//! Where profiles and grants rest (XDG Base Directory Specification).

use std::env;
use std::fs::DirBuilder;
use std::io;
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
