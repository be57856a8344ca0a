//! The private key in a file, since the JWT samples of Coze's SDKs for Go and Java read it only from one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use coze_auth_mock::fingerprint;
use serde_json::Value;

use super::{app, export};
use crate::cli::Failure;

/// The line that names the file, which is written; empty if the mock does not have the private key of its JWT app.
pub(crate) fn line(info: &Value, wanted: Option<&Path>) -> Result<String, Failure> {
    let key = app(info, "jwt").and_then(|app| app["private_key"].as_str());
    let Some(key) = key else {
        return Ok(String::new());
    };
    let path = match wanted {
        Some(path) => write(path, key, true).map(|()| path.to_owned()),
        None => temporary(key),
    };
    let path = path.and_then(std::path::absolute);
    let path = path.map_err(|error| {
        format!("cannot write the private key to a file: {error}; name another one by --key-file")
    })?;
    let path = path.display().to_string();
    Ok(export("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", &path))
}

/// A file of this key, which is the same one each time unless it is somebody else's.
fn temporary(key: &str) -> io::Result<PathBuf> {
    let folder = std::env::temp_dir();
    let shared = folder.join(format!("coze-auth-mock-{}.pem", fingerprint(key)));
    if write(&shared, key, false).is_ok()
        || fs::read_to_string(&shared).is_ok_and(|text| text == key)
    {
        return Ok(shared);
    }
    let id = std::process::id();
    let own = folder.join(format!("coze-auth-mock-{}-{id}.pem", fingerprint(key)));
    write(&own, key, false).map(|()| own)
}

pub(super) fn write(path: &Path, key: &str, replace: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    match replace {
        true => options.write(true).create(true).truncate(true),
        false => options.write(true).create_new(true),
    };
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(key.as_bytes())
}
