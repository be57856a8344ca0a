//! Where the grants of profiles rest: in files, or in the keyring of the system.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use coze_auth::store::{FileStore, GrantKey, GrantStore};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
#[cfg(not(feature = "keyring"))]
use crate::failure::Kind;
use crate::profile::ProfileName;
use crate::{folders, output};

/// How long a process waits for another one that changes the same grant. It is more than a renewal takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// What a profile remembers of its store.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// A file that its owner alone can read, in the state folder
    #[default]
    File,
    /// The keyring of the system; it has to be unlocked whenever a command runs
    Keyring,
}

/// The store of a profile.
pub(crate) struct Store {
    grants: Arc<dyn GrantStore>,
    files: FileStore,
    #[cfg(feature = "keyring")]
    keyring: Option<crate::keyring::KeyringStore>,
}

impl Store {
    pub(crate) fn open(kind: StoreKind, profile: &ProfileName) -> Result<Self, Failure> {
        let folder = folder()?;
        let files = FileStore::new(&folder)?;
        match kind {
            StoreKind::File => Ok(Self {
                grants: Arc::new(files.clone()),
                files,
                #[cfg(feature = "keyring")]
                keyring: None,
            }),
            #[cfg(feature = "keyring")]
            StoreKind::Keyring => {
                let keyring = crate::keyring::KeyringStore::new(&files, &folder, profile);
                Ok(Self {
                    grants: Arc::new(keyring.clone()),
                    files,
                    keyring: Some(keyring),
                })
            }
            #[cfg(not(feature = "keyring"))]
            StoreKind::Keyring => Err(Failure::new(
                Kind::KeyringMissing,
                format!(
                    "profile {profile} is to rest in the keyring, and this coze-auth was built without it: install it with \
                     cargo install coze-auth-cli --features keyring, or log in with --store file"
                ),
            )),
        }
    }

    /// The store itself.
    pub(crate) fn grants(&self) -> Arc<dyn GrantStore> {
        self.grants.clone()
    }

    /// Finds out whether a grant can be stored, by writing and reading, before a login spends its code.
    pub(crate) fn probe(&self, key: &GrantKey) -> Result<(), Failure> {
        Ok(self.grants.lock(key, PATIENCE)?.prepare()?)
    }

    /// Removes a grant.
    pub(crate) fn remove(&self, key: &GrantKey) -> Result<(), Failure> {
        Ok(self.grants.lock(key, PATIENCE)?.remove()?)
    }

    /// Where a grant rests, for people.
    pub(crate) fn place(&self, key: &GrantKey) -> String {
        #[cfg(feature = "keyring")]
        if let Some(keyring) = &self.keyring {
            return keyring.place();
        }
        self.files.path(key).display().to_string()
    }

    /// Tells what the file store has set right.
    pub(crate) fn tell_notices(&self) {
        for notice in self.files.notices() {
            output::tell(format_args!("coze-auth: {notice}"));
        }
    }
}

/// The folder of all grants, and of the locks of those in the keyring.
fn folder() -> Result<PathBuf, Failure> {
    Ok(folders::state()?.join("grants"))
}
