//! A folder with grants.
#![allow(dead_code)] // no test file uses all of it

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use coze_auth_store::core::device::DeviceApp;
use coze_auth_store::core::{Endpoints, TokenGrant};
use coze_auth_store::{FileStore, GrantKey, GrantStore as _, Saved};

/// A folder of this test, gone when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("coze-auth-store-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn store(&self) -> FileStore {
        FileStore::new(&self.0).unwrap()
    }

    /// Names of the files in it, sorted; without the lock files.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock"))
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn key(subject: &str) -> GrantKey {
    let app = DeviceApp::new(Endpoints::cn(), "app").unwrap();
    GrantKey::new(&app.into(), subject).unwrap()
}

pub(crate) fn grant(number: u32) -> TokenGrant {
    TokenGrant::from_secret_json(&format!(
        r#"{{"access_token":"SENTINEL-{number}","refresh_token":"SENTINEL-r{number}","issued_at":1750000000,"expires_at":1750000900}}"#
    ))
    .unwrap()
}

pub(crate) fn save(store: &FileStore, key: &GrantKey, number: u32) {
    let mut held = store.lock(key, PATIENCE).unwrap();
    assert_eq!(held.save(&grant(number)).unwrap(), Saved::Stored);
}

pub(crate) fn loaded(store: &FileStore, key: &GrantKey) -> Option<String> {
    let grant = store.load(key).unwrap()?;
    Some(grant.refresh_token?.expose().to_owned())
}
