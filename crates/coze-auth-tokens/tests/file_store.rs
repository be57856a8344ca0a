//! Renewals of grants that rest in files.

mod steps;

use std::fs;
use std::path::PathBuf;

use coze_auth_store::{FileStore, GrantStore as _, StoreError};
use coze_auth_tokens::{Error, Next};

use steps::{LIFE, World, granted};

/// A folder of this test, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("coze-auth-tokens-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn store(&self) -> FileStore {
        FileStore::new(&self.0).unwrap()
    }

    /// How many files are in it beside the locks.
    fn files(&self) -> usize {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".lock")).count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// The file is damaged while Coze answers: what came is the only copy, so it is stored, and the rest kept aside.
#[test]
fn a_file_that_was_damaged_in_mid_renewal_does_not_cost_the_renewal() {
    let folder = Folder::new("mid-renewal");
    let store = folder.store();
    let world = World::over(store.clone());
    world.install(0);
    world.pass(LIFE);
    let path = store.path(&world.key);
    let done = world.send(|_| {
        fs::write(&path, "damaged").unwrap();
        granted(1)
    });
    assert!(matches!(done, Next::Done));
    let stored = store.load(&world.key).unwrap().unwrap();
    assert!(stored.access_token.matches(&world.token()));
    assert!(stored.access_token.matches(&steps::grant(1).access_token));
    let aside = fs::read(path.with_extension("corrupt-1")).unwrap();
    assert_eq!(aside, b"damaged");
}

/// A folder that cannot be written is found out before the refresh token is spent, so it costs nothing.
#[test]
fn nothing_is_sent_where_nothing_could_be_stored() {
    let folder = Folder::new("full");
    let store = folder.store();
    let world = World::over(store.clone());
    world.install(0);
    world.pass(LIFE);
    // As a full disk would: what is written beside cannot be made.
    let beside = store.path(&world.key).with_extension("tmp");
    fs::create_dir(&beside).unwrap();
    assert!(matches!(world.begin(), Next::Done), "sent");
    let error = world.failure();
    let Error::Store(StoreError::NotAFile { path, found }) = &error else {
        panic!("{error}");
    };
    assert_eq!((path, *found), (&beside, "folder"));
    assert_ne!(error.retry(), coze_auth_tokens::core::Retry::Never);
    fs::remove_dir(&beside).unwrap();
    world.pass(1);
    assert!(matches!(world.send(|_| granted(1)), Next::Done));
    assert_eq!(world.token().expose(), "access-1");
    assert_eq!(folder.files(), 1, "the room was used");

    // Refused, the room is not needed and is gone.
    world.pass(LIFE);
    assert!(matches!(world.send(|_| steps::invalid_grant()), Next::Done));
    assert_eq!(folder.files(), 1);
}
