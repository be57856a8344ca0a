//! A small disk of its own, in memory: it can be filled and made read-only, by root.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use coze_auth_core::TokenGrant;
use coze_auth_store::{FileStore, GrantKey, GrantStore, LockedGrant, StoreError};

use crate::fixture::scratch;
use crate::network::Network;

pub(crate) struct Disk(pub(crate) PathBuf);

impl Disk {
    /// A disk, or why there is none.
    pub(crate) fn new() -> Result<Self, String> {
        let folder = scratch();
        fs::create_dir_all(&folder).expect("a folder");
        let disk = Self(folder);
        disk.run(
            "mount",
            &["-t", "tmpfs", "-o", "size=256k,mode=0700", "none"],
        )
        .map_err(|said| format!("a disk is mounted by root alone: {said}"))?;
        Ok(disk)
    }

    pub(crate) fn store(&self, network: &Network) -> CountingStore {
        let files = FileStore::new(self.0.join("grants")).expect("a folder");
        CountingStore(files, network.clone())
    }

    /// Until what is given back is called.
    pub(crate) fn fill(&self) -> Box<dyn FnOnce() + '_> {
        let filler = self.0.join("filler");
        let mut file = File::create(&filler).expect("a file");
        // By the page, until there is room for none.
        while file.write_all(&[0; 4096]).is_ok() {}
        Box::new(move || fs::remove_file(filler).expect("removed"))
    }

    /// Until what is given back is called.
    pub(crate) fn make_read_only(&self) -> Box<dyn FnOnce() + '_> {
        self.run("mount", &["-o", "remount,ro"]).expect("remounted");
        Box::new(|| self.run("mount", &["-o", "remount,rw"]).expect("remounted"))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new(program).args(arguments).arg(&self.0).output();
        let output = output.map_err(|error| format!("{program}: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nothing to do for one that was never mounted.
        let _ = self.run("umount", &["--lazy"]);
        let _ = fs::remove_dir(&self.0);
    }
}

/// Counts how often it is read: nothing else notices a try that fails before a request.
pub(crate) struct CountingStore(FileStore, Network);

impl GrantStore for CountingStore {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.1.note_a_try();
        self.0.load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        self.0.lock(key, patience)
    }
}
