//! What lies in a folder beside the grants, or in their place.

mod folder;

use std::fs;

use coze_auth_store::{GrantStore as _, StoreError};

use folder::{Folder, PATIENCE, grant, key, save};

/// What is written beside holds the newest refresh token: no logout and no failure leaves it there.
#[test]
fn no_token_is_left_beside() {
    let folder = Folder::new("beside");
    let store = folder.store();
    let path = store.path(&key("alice"));
    let beside = path.with_extension("tmp");
    save(&store, &key("alice"), 1);
    fs::copy(&path, &beside).unwrap();
    let mut held = store.lock(&key("alice"), PATIENCE).unwrap();
    held.remove().unwrap();
    assert!(folder.files().is_empty(), "after a logout");

    fs::create_dir_all(&path).unwrap();
    let error = held.save(&grant(2)).unwrap_err();
    assert!(matches!(error, StoreError::NotAFile { .. }), "{error}");
    assert!(!beside.exists(), "after a failure");
}

/// A renewal that comes to nothing has made room for a grant and needs none.
#[test]
fn room_that_was_not_needed_goes_with_the_lock() {
    let folder = Folder::new("room");
    let store = folder.store();
    let mut held = store.lock(&key("alice"), PATIENCE).unwrap();
    held.prepare().unwrap();
    assert_eq!(folder.files().len(), 1, "the room");
    drop(held);
    assert!(folder.files().is_empty());
}

/// Of a file that is longer than what is read there is no whole copy, so it is not replaced by one.
#[test]
fn a_file_that_is_too_long_is_left_whole_until_there_is_another_grant() {
    let folder = Folder::new("too-long");
    let store = folder.store();
    let path = store.path(&key("alice"));
    let long = vec![b'x'; 8 * 1024 * 1024 + 1];
    fs::write(&path, &long).unwrap();
    let mut held = store.lock(&key("alice"), PATIENCE).unwrap();
    held.prepare().unwrap();
    assert!(fs::read(&path).unwrap() == long, "cut off");
    held.save(&grant(1)).unwrap();
    let aside = path.with_extension("corrupt-1");
    assert!(fs::read(aside).unwrap() == long, "cut off");
}

/// A file that something else has filled is not read into memory. The one here takes no room on a disk.
#[test]
fn a_file_without_end_is_damaged() {
    let folder = Folder::new("endless");
    let store = folder.store();
    save(&store, &key("alice"), 1);
    let path = store.path(&key("alice"));
    let whole = fs::read_to_string(&path).unwrap();
    // White space in JSON, so that its length alone is what is wrong with it.
    let padded = " ".repeat(8 * 1024 * 1024 - whole.len()) + whole.trim_end();
    fs::write(&path, padded.clone() + " ").unwrap();
    assert!(store.load(&key("alice")).unwrap().is_some());
    fs::write(&path, "  ".to_owned() + &padded).unwrap();
    let error = store.load(&key("alice")).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let huge = fs::OpenOptions::new().write(true).open(&path).unwrap();
    huge.set_len(1 << 40).unwrap();
    let error = store.load(&key("alice")).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

/// The folder went away: that is trouble of the machine, and not a logout.
#[test]
fn a_folder_that_was_removed_is_named() {
    let folder = Folder::new("gone");
    let store = folder.store();
    fs::remove_dir_all(&folder.0).unwrap();
    let Err(error) = store.lock(&key("alice"), PATIENCE).map(drop) else {
        panic!("locked");
    };
    let text = error.to_string();
    assert!(
        text.starts_with("cannot open ") && text.contains(folder.0.to_str().unwrap()),
        "{text}"
    );
    // Nobody would think of a full disk if he were asked to log in.
    fs::write(&folder.0, "a file").unwrap();
    let error = store.load(&key("alice")).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot read "), "{text}");
    fs::remove_file(&folder.0).unwrap();
}

/// A cleaner removes the lock file while it is held and waited for. Who waited has the old file; who comes then
/// makes a new one; they must not both hold the grant.
#[cfg(target_os = "linux")]
#[test]
fn a_lock_file_that_was_removed_while_it_was_waited_for_is_no_lock() {
    let folder = Folder::new("cleaned");
    let store = folder.store();
    let lock = store.path(&key("alice")).with_extension("lock");
    let first = store.lock(&key("alice"), PATIENCE).unwrap();
    let waits = folder.store();
    let waiting = std::thread::spawn(move || {
        waits
            .lock(&key("alice"), std::time::Duration::from_secs(1))
            .map(drop)
    });
    let opened = || {
        let all = fs::read_dir("/proc/self/fd").unwrap();
        all.filter(|entry| {
            let to = entry.as_ref().map(|entry| fs::read_link(entry.path()));
            to.is_ok_and(|to| to.is_ok_and(|to| to == lock))
        })
        .count()
    };
    while opened() < 2 {
        std::thread::yield_now();
    }
    fs::remove_file(&lock).unwrap();
    let third = store.lock(&key("alice"), PATIENCE).unwrap();
    drop(first);
    let second = waiting.join().unwrap();
    assert!(
        matches!(second, Err(StoreError::Locked { .. })),
        "held twice"
    );
    drop(third);
}

/// A file of another app or region under this name is not taken for this grant.
#[test]
fn a_file_says_whose_it_is() {
    let folder = Folder::new("whose");
    let store = folder.store();
    let path = store.path(&key("alice"));
    save(&store, &key("alice"), 1);
    let own = fs::read_to_string(&path).unwrap();
    for (member, there, instead) in [
        ("region", "https://api.coze.cn", "https://api.coze.com"),
        ("app", "\"app\"", "\"app2\""),
        ("person", "\"alice\"", "\"bob\""),
    ] {
        let other = own.replace(there, instead);
        assert_ne!(other, own, "{member}");
        fs::write(&path, other).unwrap();
        let error = store.load(&key("alice")).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{member}");
    }
}
