//! Grants in a folder: who may read them, what survives, what is damaged, and whose turn it is.

mod folder;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use coze_auth_store::core::Endpoints;
use coze_auth_store::core::device::DeviceApp;
use coze_auth_store::core::error::ErrorKind;
use coze_auth_store::{FileStore, GrantKey, GrantStore as _, StoreError};

use folder::{Folder, PATIENCE, grant, key, loaded, save};

#[test]
fn what_is_saved_is_there_for_another_process() {
    let folder = Folder::new("saved");
    assert!(loaded(&folder.store(), &key("alice")).is_none());
    save(&folder.store(), &key("alice"), 1);
    save(&folder.store(), &key("扣子 \"bob\"\\"), 2);
    save(&folder.store(), &key("alice"), 3);
    let other = folder.store();
    assert_eq!(loaded(&other, &key("alice")).unwrap(), "SENTINEL-r3");
    assert_eq!(
        loaded(&other, &key("扣子 \"bob\"\\")).unwrap(),
        "SENTINEL-r2"
    );
    assert_eq!(folder.files().len(), 2, "nothing else is left behind");
    let whole = other.load(&key("alice")).unwrap().unwrap();
    assert_eq!(whole.access_token.expose(), "SENTINEL-3");
    assert_eq!(whole.issued_at.as_secs(), 1_750_000_000);
    assert_eq!(whole.expires_at.as_secs(), 1_750_000_900);
}

#[test]
fn a_removed_grant_is_gone() {
    let folder = Folder::new("removed");
    let store = folder.store();
    let mut held = store.lock(&key("alice"), PATIENCE).unwrap();
    held.remove().unwrap();
    held.save(&grant(1)).unwrap();
    held.remove().unwrap();
    assert!(held.load().unwrap().is_none());
    assert!(folder.files().is_empty());
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = Folder::new("modes");
    let store = folder.store();
    assert_eq!(mode(&folder.0), 0o700);
    // A leftover of another program with the name that is written first must not lend its mode.
    let beside = store.path(&key("alice")).with_extension("tmp");
    fs::write(&beside, "left over").unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o666)).unwrap();
    save(&store, &key("alice"), 1);
    assert_eq!(mode(&store.path(&key("alice"))), 0o600);
    let lock = store.path(&key("alice")).with_extension("lock");
    assert_eq!(mode(&lock), 0o600);
    assert_eq!(folder.files().len(), 1, "the leftover is gone");
}

#[test]
fn one_holder_at_a_time() {
    let folder = Folder::new("holders");
    let store = folder.store();
    let first = store.lock(&key("alice"), PATIENCE).unwrap();
    // Another grant is another matter.
    drop(store.lock(&key("bob"), Duration::ZERO).unwrap());
    let begun = Instant::now();
    let second = folder
        .store()
        .lock(&key("alice"), Duration::from_millis(50));
    let Err(StoreError::Locked { waited }) = second.map(drop) else {
        panic!("held twice");
    };
    assert_eq!(waited, Duration::from_millis(50));
    assert!(begun.elapsed() >= waited);
    // Reading waits for nobody.
    assert!(loaded(&store, &key("alice")).is_none());
    let waits = folder.store();
    let waiting = std::thread::spawn(move || waits.lock(&key("alice"), PATIENCE).map(drop));
    drop(first);
    waiting.join().unwrap().unwrap();
}

/// Everything that is no grant of this key is named, left as it is, and kept aside when there is a new one.
#[test]
fn a_damaged_file_is_named_and_kept_aside() {
    let folder = Folder::new("damaged");
    let store = folder.store();
    let (alice, bob) = (key("alice"), key("bob"));
    save(&store, &bob, 2);
    save(&store, &alice, 1);
    let path = store.path(&alice);
    let whole = fs::read_to_string(&path).unwrap();
    let damaged: Vec<Vec<u8>> = vec![
        b"".into(),
        b"\0\0\0\0".into(),
        b"\xff\xfe".into(),
        whole.as_bytes()[..whole.len() - 3].into(),
        b"{}".into(),
        b"[]".into(),
        // Another's grant under this name; a form that was never written; a grant without a token.
        fs::read(store.path(&bob)).unwrap(),
        whole.replace(r#""version":1"#, r#""version":0"#).into(),
        whole.replace(r#""version":1"#, r#""version":"2""#).into(),
        whole.replace("SENTINEL-1", "").into(),
        whole.replace("1750000900", "\"soon\"").into(),
    ];
    for (number, bytes) in damaged.iter().enumerate() {
        fs::write(&path, bytes).unwrap();
        for _ in 0..2 {
            let error = store.load(&alice).unwrap_err();
            let StoreError::Corrupt { path: named } = &error else {
                panic!("{number}: {error}");
            };
            assert_eq!(*named, path);
            let text = format!("{error} {error:?}");
            assert!(!text.contains("SENTINEL"), "{text}");
        }
        assert_eq!(fs::read(&path).unwrap(), *bytes, "left as it is");
        save(&store, &alice, 7);
        assert_eq!(loaded(&store, &alice).unwrap(), "SENTINEL-r7");
        let aside = path.with_extension(format!("corrupt-{}", number + 1));
        assert_eq!(fs::read(aside).unwrap(), *bytes, "kept aside");
    }
    assert_eq!(loaded(&store, &bob).unwrap(), "SENTINEL-r2");
}

/// What a program of tomorrow has written is not damaged: an old one leaves it alone, whatever it is asked.
#[test]
fn a_file_of_a_newer_version_is_told_and_never_replaced() {
    let folder = Folder::new("newer");
    let store = folder.store();
    let alice = key("alice");
    let path = store.path(&alice);
    // Of tomorrow's form there is nothing to rely on but its number.
    for newer in [
        r#"{"version":2}"#,
        r#"{"form":["of",{"tomorrow":1}],"version":18446744073709551615}"#,
    ] {
        fs::write(&path, newer).unwrap();
        let told = |error: StoreError| {
            let StoreError::Newer { path: named, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(*named, path);
            let text = error.to_string();
            assert!(text.contains("knows up to 1"), "{text}");
            assert!(text.contains("update this program"), "{text}");
            // Not a login: it would not be stored either.
            assert_eq!(error.kind(), ErrorKind::Settings);
        };
        told(store.load(&alice).unwrap_err());
        let mut held = store.lock(&alice, PATIENCE).unwrap();
        told(held.load().unwrap_err());
        told(held.prepare().unwrap_err());
        told(held.save(&grant(1)).unwrap_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), newer, "left as it is");
        assert_eq!(folder.files().len(), 1, "nothing is kept aside");
        // A logout is one.
        held.remove().unwrap();
        assert!(folder.files().is_empty());
    }
}

/// A damaged file that was kept aside may hold tokens that live.
#[test]
fn a_logout_removes_what_was_kept_aside() {
    let folder = Folder::new("logout");
    let store = folder.store();
    let (alice, bob) = (key("alice"), key("bob"));
    for name in [&alice, &bob] {
        for number in 1..=3 {
            save(&store, name, number);
            let whole = fs::read(store.path(name)).unwrap();
            fs::write(store.path(name), &whole[..whole.len() - 2]).unwrap();
        }
        save(&store, name, 4);
        fs::write(store.path(name).with_extension("tmp"), "left behind").unwrap();
    }
    assert_eq!(folder.files().len(), 10);
    let mut held = store.lock(&alice, PATIENCE).unwrap();
    held.remove().unwrap();
    let left = folder.files();
    assert_eq!(left.len(), 5, "{left:?}");
    let is_bobs = |name: &String| name.starts_with(&bob.id());
    assert!(left.iter().all(is_bobs), "{left:?}");
    // The lock is held, and whoever waits for it must find it.
    assert!(store.path(&alice).with_extension("lock").exists());
    assert_eq!(loaded(&store, &bob).unwrap(), "SENTINEL-r4");
}

/// What a killed process had begun to write is no grant.
#[test]
fn half_a_file_beside_is_never_read() {
    let folder = Folder::new("half");
    let store = folder.store();
    save(&store, &key("alice"), 1);
    let path = store.path(&key("alice"));
    let half = fs::read(&path).unwrap()[..40].to_vec();
    fs::write(path.with_extension("tmp"), half).unwrap();
    assert_eq!(loaded(&store, &key("alice")).unwrap(), "SENTINEL-r1");
    save(&store, &key("alice"), 2);
    assert_eq!(loaded(&store, &key("alice")).unwrap(), "SENTINEL-r2");
    assert_eq!(folder.files().len(), 1);
}

#[test]
fn a_failure_tells_what_was_tried_and_where() {
    let folder = Folder::new("failure");
    let store = folder.store();
    let path = store.path(&key("alice"));
    fs::create_dir_all(path.with_extension("corrupt-1")).unwrap();
    let mut held = store.lock(&key("alice"), PATIENCE).unwrap();
    // Not a file of ours, so it is not removed with the grant.
    let error = held.remove().unwrap_err();
    assert!(matches!(error, StoreError::NotAFile { .. }), "{error}");
    drop(held);

    fs::write(folder.0.join("file"), "").unwrap();
    let below = folder.0.join("file/below");
    let error = FileStore::new(&below).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot make ") && text.contains(below.to_str().unwrap()),
        "{text}"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn keys_that_differ_have_files_that_differ() {
    let ids = [
        ("https://api.coze.cn", "app", "alice"),
        ("https://api.coze.com", "app", "alice"),
        ("https://api.coze.cn", "app2", "alice"),
        ("https://api.coze.cn", "app", "bob"),
        // The same letters, cut elsewhere.
        ("https://api.coze.cn", "appa", "lice"),
    ]
    .map(|(base, client_id, subject)| {
        let app = DeviceApp::new(Endpoints::custom(base).unwrap(), client_id).unwrap();
        GrantKey::new(&app.into(), subject).unwrap().id()
    });
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(id.len(), 32);
        assert!(!ids[..at].contains(id), "{at}");
    }
    let app = DeviceApp::new(Endpoints::cn(), "app").unwrap();
    for bad in ["", " alice", "alice\u{200b}", "a\nb"] {
        let error = GrantKey::new(&app.clone().into(), bad).unwrap_err();
        assert_eq!(error.what(), "subject");
    }
}

#[test]
fn a_folder_that_nobody_means_is_an_error_of_the_settings() {
    let folder = Folder::new("not-a-folder");
    fs::write(&folder.0, "").unwrap();
    let home = "~ is not replaced here, as a shell does; write ./~ if that is its name";
    for (path, why) in [
        (Path::new(""), "the name of the folder is empty"),
        (Path::new("~"), home),
        (Path::new("~/grants"), home),
        (&folder.0, "it is there and is not a folder"),
    ] {
        for made in [FileStore::new(path), FileStore::in_shared_folder(path)] {
            let error = made.expect_err(why);
            assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
            let text = error.to_string();
            assert!(
                text.contains(&format!(" {}: {why}; ", path.display())),
                "{text}"
            );
        }
    }
    assert!(!Path::new("~").exists());
    for name in ["x".repeat(300), "a\0b".to_owned()] {
        let error = FileStore::new(std::env::temp_dir().join(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
    }
    fs::remove_file(&folder.0).unwrap();
}
