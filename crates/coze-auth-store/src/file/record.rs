//! The form of a grant's file.

use std::borrow::Cow;
use std::io::{self, Read as _};
use std::path::Path;

use coze_auth_core::TokenGrant;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::folder::{Folder, failed, owners_file};
use crate::{GrantKey, StoreError};

/// The newest version of the form that is known here.
pub(crate) const VERSION: u32 = 1;
/// More than a grant takes, in bytes.
pub(super) const ROOM: usize = 8 * 1024;
/// The longest file that is read, many times an answer with a grant.
pub(super) const LONGEST: usize = 8 * 1024 * 1024;

/// It names its key, for people who look, and so that a copy under another name is noticed.
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

/// What a file of any version has.
#[derive(Deserialize)]
struct Form {
    version: u64,
}

/// The grant in this file, if there is one.
pub(super) fn load(
    folder: &Folder,
    path: &Path,
    key: &GrantKey,
) -> Result<Option<TokenGrant>, StoreError> {
    let Some(bytes) = bytes(folder, path)? else {
        return Ok(None);
    };
    let json = std::str::from_utf8(&bytes).unwrap_or_default();
    match parse(json, key) {
        Some(grant) => Ok(Some(grant)),
        None => Err(match serde_json::from_str(json) {
            Ok(Form { version }) if version > VERSION.into() => StoreError::Newer {
                path: path.to_owned(),
                version,
            },
            _ => StoreError::Corrupt {
                path: path.to_owned(),
            },
        }),
    }
}

/// What is in the file, up to [`LONGEST`]; what is cut off is not JSON.
pub(super) fn bytes(
    folder: &Folder,
    path: &Path,
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let file = match folder.open(owners_file().read(true), "read", path) {
        Err(StoreError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        opened => opened?,
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let read = file.metadata().and_then(|metadata| {
        // Room for all of it, or it would be copied while it grows to memory that nobody wipes.
        let length = usize::try_from(metadata.len()).map_or(LONGEST, |length| length.min(LONGEST));
        bytes.reserve(length + 1);
        file.take(LONGEST as u64).read_to_end(&mut bytes)
    });
    read.map_err(|cause| failed("read", path, cause))?;
    Ok(Some(bytes))
}

fn parse(json: &str, key: &GrantKey) -> Option<TokenGrant> {
    let record: Record<'_> = serde_json::from_str(json).ok()?;
    let own = record.version == VERSION
        && record.api_base == key.api_base()
        && record.client_id == key.client_id()
        && record.subject == key.subject();
    own.then(|| TokenGrant::from_secret_json(record.grant.get()).ok())?
}

/// What stands in the file of this grant.
pub(super) fn of(grant: &TokenGrant, key: &GrantKey) -> io::Result<Zeroizing<Vec<u8>>> {
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
    Ok(json)
}
