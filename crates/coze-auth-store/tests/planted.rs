//! What others have put in the place of a grant, its lock and its folder, and who may read what.
#![cfg(unix)]

#[path = "folder/child.rs"]
mod child;
mod folder;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use coze_auth_store::core::error::ErrorKind;
use coze_auth_store::{FileStore, GrantStore as _, StoreError};

use child::{SOMEBODY, is_child, is_root, run, run_as_told, run_by, run_there};
use folder::{Folder, PATIENCE, grant, key, loaded, save};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything that can be asked of a store and this grant, as errors: to read it without the lock; to lock it; and
/// with the lock to read it, to get ready, and to store another. In a thread, since none may wait for anything.
fn all_that_fails(store: &FileStore) -> Vec<StoreError> {
    let store = store.clone();
    let (told, tell) = mpsc::channel();
    thread::spawn(move || {
        let key = key("alice");
        let mut errors = vec![store.load(&key).err()];
        match store.lock(&key, PATIENCE) {
            Err(error) => errors.push(Some(error)),
            Ok(mut held) => {
                errors.push(held.load().err());
                errors.push(held.prepare().err());
                errors.push(held.save(&grant(9)).err());
            }
        }
        told.send(errors.into_iter().flatten().collect()).unwrap();
    });
    tell.recv_timeout(PATIENCE).expect("it waits for somebody")
}

/// Puts something there that is not a file. Links lead to `to`.
fn plant(kind: &str, to: &Path, place: &Path) {
    let name = place.to_str().unwrap();
    match kind {
        "symbolic link" => symlink(to, place).unwrap(),
        "FIFO" => run("mkfifo", &[name]),
        "folder" => fs::create_dir(place).unwrap(),
        "socket" => drop(UnixListener::bind(place).unwrap()),
        // A hard disk that is not there.
        "device" => run("mknod", &[name, "b", "8", "250"]),
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_not_a_file_is_refused_at_once_and_left_as_it_is() {
    let folder = Folder::new("no file");
    let store = folder.store();
    // Whole, and ours: it is the link that is refused.
    save(&store, &key("alice"), 1);
    let path = store.path(&key("alice"));
    let lock = path.with_extension("lock");
    let whole = folder.0.join("whole");
    fs::rename(&path, &whole).unwrap();
    let before = fs::read(&whole).unwrap();
    fs::remove_file(&lock).unwrap();

    let nowhere = folder.0.join("nowhere");
    let mut kinds = vec![
        ("symbolic link", &whole),
        ("symbolic link", &nowhere),
        ("FIFO", &nowhere),
        ("folder", &nowhere),
    ];
    if cfg!(target_os = "linux") {
        // Elsewhere the path is too long for one.
        kinds.push(("socket", &nowhere));
    }
    if is_root("a device in the place of a grant") {
        kinds.push(("device", &nowhere));
    }
    for (kind, to) in kinds {
        for (place, fails) in [(&path, 4), (&lock, 1)] {
            plant(kind, to, place);
            let there = fs::symlink_metadata(place).unwrap();
            let errors = all_that_fails(&store);
            assert_eq!(errors.len(), fails, "{kind}: {errors:?}");
            for error in &errors {
                let StoreError::NotAFile { path: named, found } = error else {
                    panic!("{kind}: {error}");
                };
                assert_eq!((named, *found), (place, kind));
                assert_eq!(error.kind(), ErrorKind::Settings);
            }
            let still = fs::symlink_metadata(place).unwrap();
            assert_eq!(still.ino(), there.ino(), "{kind} was replaced");
            assert_eq!(
                fs::read(&whole).unwrap(),
                before,
                "written through a {kind}"
            );
            // It says what mends it.
            run_as_told(&errors[0].to_string(), "Run: ");
            assert!(fs::symlink_metadata(place).is_err(), "{kind}");
            assert!(all_that_fails(&store).is_empty(), "{kind}");
            fs::remove_file(&path).unwrap();
            fs::remove_file(&lock).unwrap();
        }
    }
}

/// What stands where a grant is written first is no grant: it goes, unopened. A folder does not.
#[test]
fn what_stands_in_the_place_of_the_file_beside_is_not_followed() {
    let folder = Folder::new("link");
    let store = folder.store();
    let elsewhere = folder.0.join("elsewhere");
    fs::write(&elsewhere, "untouched").unwrap();
    let path = store.path(&key("alice"));
    let beside = path.with_extension("tmp");
    for kind in ["symbolic link", "FIFO"] {
        plant(kind, &elsewhere, &beside);
        assert!(all_that_fails(&store).is_empty(), "{kind}");
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "untouched");
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{kind}");
        assert!(!beside.exists(), "{kind}");
    }
    fs::create_dir(&beside).unwrap();
    let errors = all_that_fails(&store);
    assert_eq!(errors.len(), 2, "{errors:?}");
    for error in errors {
        assert!(matches!(&error, StoreError::NotAFile { path, .. } if *path == beside));
    }
    assert_eq!(loaded(&store, &key("alice")).unwrap(), "SENTINEL-r9");
}

#[test]
fn a_folder_of_ours_that_others_may_write_to_is_closed_and_told() {
    for (open, closed) in [
        (0o777, 0o700),
        (0o770, 0o700),
        (0o702, 0o700),
        (0o775, 0o700),
        (0o2775, 0o700),
        // Names can be listed. They say nothing.
        (0o755, 0o755),
        (0o711, 0o711),
        (0o700, 0o700),
    ] {
        let folder = Folder::new("open");
        fs::create_dir(&folder.0).unwrap();
        set_mode(&folder.0, open);
        let store = folder.store();
        // On some systems a new folder inherits a bit.
        assert_eq!(mode(&folder.0) & 0o777, closed, "{open:o}");
        let notices = store.notices();
        if open == closed {
            assert!(notices.is_empty(), "{notices:?}");
            continue;
        }
        let [notice] = &notices[..] else {
            panic!("{open:o}: {notices:?}");
        };
        assert!(notice.contains(folder.0.to_str().unwrap()), "{notice}");
        assert!(notice.contains(&format!("(mode {open:04o})")), "{notice}");
        assert!(folder.store().notices().is_empty(), "it is closed by now");

        // Opened later.
        set_mode(&folder.0, open);
        save(&store, &key("alice"), 1);
        assert_eq!(mode(&folder.0) & 0o777, closed, "{open:o}");
    }
}

/// Root's own /tmp is one, and who closes it to others has broken the machine.
#[test]
fn a_sticky_folder_is_refused_unless_it_is_said_to_be_shared() {
    let folder = Folder::new("sticky");
    fs::create_dir(&folder.0).unwrap();
    set_mode(&folder.0, 0o1777);
    let error = FileStore::new(&folder.0).unwrap_err();
    let StoreError::FolderOfAll { path, mode: named } = &error else {
        panic!("{error}");
    };
    assert_eq!((path, *named), (&folder.0, 0o1777));
    assert!(
        error.to_string().contains("FileStore::in_shared_folder"),
        "{error}"
    );
    assert_eq!(mode(&folder.0), 0o1777, "left as it is");

    let store = FileStore::in_shared_folder(&folder.0).unwrap();
    save(&store, &key("alice"), 1);
    assert_eq!(loaded(&store, &key("alice")).unwrap(), "SENTINEL-r1");
    assert_eq!(mode(&folder.0), 0o1777, "left as it is");
    assert_eq!(mode(&store.path(&key("alice"))), 0o600);
    assert!(store.notices().is_empty());
    // One below it is our own.
    FileStore::new(folder.0.join("below")).unwrap();
}

#[test]
fn a_grant_that_others_can_read_is_closed_to_them_and_told() {
    for open in [0o644, 0o666, 0o640, 0o604, 0o777] {
        let folder = Folder::new("readable");
        let store = folder.store();
        save(&store, &key("alice"), 1);
        let path = store.path(&key("alice"));
        let lock = path.with_extension("lock");
        set_mode(&path, open);
        set_mode(&lock, open);
        assert_eq!(loaded(&store, &key("alice")).unwrap(), "SENTINEL-r1");
        assert_eq!(mode(&path), 0o600, "{open:o}");
        drop(store.lock(&key("alice"), PATIENCE).unwrap());
        assert_eq!(mode(&lock), 0o600, "{open:o}");
        let notices = store.notices();
        // What the observers of token sources are told.
        let heard = coze_auth_store::GrantStore::notices(&store);
        assert_eq!(heard.map(|heard| heard.all()), Some(notices.clone()));
        assert_eq!(notices.len(), 2, "{notices:?}");
        for (notice, path) in notices.iter().zip([&path, &lock]) {
            assert!(notice.starts_with(path.to_str().unwrap()), "{notice}");
            assert!(notice.contains(&format!("(mode {open:04o})")), "{notice}");
            assert!(notice.contains("is set to 0600"), "{notice}");
        }
    }
}

/// It is resolved once: whoever turns it elsewhere later does not move a running process.
#[test]
fn a_folder_that_is_a_link_of_ours_is_what_it_leads_to() {
    let folder = Folder::new("linked");
    let (one, two) = (folder.0.join("one"), folder.0.join("two"));
    fs::create_dir_all(&one).unwrap();
    fs::create_dir_all(&two).unwrap();
    set_mode(&one, 0o777);
    let link = folder.0.join("link");
    symlink("one", &link).unwrap();
    for spelled in [link.clone(), link.join(""), link.join(".")] {
        let store = FileStore::new(&spelled).unwrap();
        assert_eq!(store.path(&key("alice")).parent().unwrap(), one);
        assert_eq!(mode(&one), 0o700, "what it leads to is judged");
        save(&store, &key("alice"), 1);
    }
    let store = FileStore::new(&link).unwrap();
    fs::remove_file(&link).unwrap();
    symlink("two", &link).unwrap();
    assert_eq!(loaded(&store, &key("alice")).unwrap(), "SENTINEL-r1");

    symlink("nowhere", folder.0.join("dangling")).unwrap();
    let error = FileStore::new(folder.0.join("dangling")).unwrap_err();
    assert!(error.to_string().starts_with("cannot make "), "{error}");
}

#[test]
fn a_relative_path_counts_from_where_the_process_stood() {
    let name = "a_relative_path_counts_from_where_the_process_stood";
    if !is_child(name) {
        return run_by(&["env"], name);
    }
    let folder = Folder::new("relative");
    fs::create_dir_all(folder.0.join("elsewhere")).unwrap();
    std::env::set_current_dir(&folder.0).unwrap();
    let store = FileStore::new("grants").unwrap();
    save(&store, &key("alice"), 0);
    std::env::set_current_dir("elsewhere").unwrap();
    assert!(store.load(&key("alice")).unwrap().is_some());
    let mut held = store.lock(&key("alice"), PATIENCE).unwrap();
    assert!(held.load().unwrap().is_some());
    held.prepare().unwrap();
    drop(held);
    save(&store, &key("bob"), 1);
    assert_eq!(folder.files(), ["elsewhere", "grants"]);
    let elsewhere = fs::read_dir(folder.0.join("elsewhere")).unwrap();
    assert_eq!(elsewhere.count(), 0);
    let error = FileStore::new("").unwrap_err();
    assert!(error.to_string().starts_with("cannot find "), "{error}");
}

#[test]
fn a_grant_or_lock_of_another_user_is_refused() {
    if !is_root("a_grant_or_lock_of_another_user_is_refused") {
        return;
    }
    let folder = Folder::new("it's another's");
    for store in [
        folder.store(),
        FileStore::in_shared_folder(&folder.0).unwrap(),
    ] {
        let key = key("alice");
        save(&store, &key, 0);
        let path = store.path(&key);
        for (place, fails) in [(path.clone(), 4), (path.with_extension("lock"), 1)] {
            chown(&place, Some(SOMEBODY), None).unwrap();
            // Of this user, and not only of the group.
            let inode = fs::metadata(&place).unwrap().ino();
            let errors = all_that_fails(&store);
            assert_eq!(errors.len(), fails, "{errors:?}");
            for error in &errors {
                let StoreError::OfAnother { path, owner, user } = error else {
                    panic!("{error}");
                };
                assert_eq!((path, *owner, *user), (&place, SOMEBODY, 0));
                assert_eq!(error.kind(), ErrorKind::Settings);
            }
            assert_eq!(fs::metadata(&place).unwrap().ino(), inode, "left");
            // It says what mends it, quotes and all; what was planted goes by the other command.
            run_as_told(&errors[0].to_string(), "put it there, run as root: ");
        }
        assert_eq!(loaded(&store, &key).unwrap(), "SENTINEL-r0");
        save(&store, &key, 1);
        chown(&path, Some(SOMEBODY), None).unwrap();
        let error = store.load(&key).unwrap_err();
        run_as_told(&error.to_string(), "if not, run as root: ");
        assert!(store.load(&key).unwrap().is_none());
    }
}

#[test]
fn a_folder_of_another_user_is_refused_unless_it_is_said_to_be_shared() {
    if !is_root("a_folder_of_another_user_is_refused_unless_it_is_said_to_be_shared") {
        return;
    }
    let folder = Folder::new("another's");
    fs::create_dir(&folder.0).unwrap();
    for mode in [0o700, 0o755, 0o777] {
        set_mode(&folder.0, mode);
        chown(&folder.0, Some(SOMEBODY), None).unwrap();
        let error = FileStore::new(&folder.0).unwrap_err();
        let StoreError::FolderOfAnother { path, owner, user } = &error else {
            panic!("{error}");
        };
        assert_eq!((path, *owner, *user), (&folder.0, SOMEBODY, 0));
        let text = error.to_string();
        assert!(text.contains("FileStore::in_shared_folder"), "{text}");
        let store = FileStore::in_shared_folder(&folder.0).unwrap();
        save(&store, &key("alice"), 1);
        assert_eq!(loaded(&store, &key("alice")).unwrap(), "SENTINEL-r1");
        let metadata = fs::metadata(&folder.0).unwrap();
        assert_eq!(
            (metadata.uid(), metadata.mode() & 0o777),
            (SOMEBODY, mode),
            "left as it is"
        );
        run_as_told(&text, "Run as root: ");
        let store = folder.store();
        assert_eq!(loaded(&store, &key("alice")).unwrap(), "SENTINEL-r1");

        // Exchanged while the process runs.
        chown(&folder.0, Some(SOMEBODY), None).unwrap();
        let error = store.lock(&key("alice"), PATIENCE).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::FolderOfAnother { .. }));
        chown(&folder.0, Some(0), None).unwrap();
    }

    // A link is where its owner wants the grants.
    let (own, link) = (folder.0.join("own"), folder.0.join("link"));
    fs::create_dir(&own).unwrap();
    symlink(&own, &link).unwrap();
    lchown(&link, Some(SOMEBODY), None).unwrap();
    let error = FileStore::new(link.join("")).unwrap_err();
    assert!(
        matches!(&error, StoreError::FolderOfAnother { path, owner: SOMEBODY, .. } if *path == link),
        "{error}"
    );
}

/// An `emptyDir` of Kubernetes, and a process that is not root.
#[test]
fn a_folder_of_root_that_all_may_write_to_is_taken_when_it_is_said_to_be_shared() {
    let name = "a_folder_of_root_that_all_may_write_to_is_taken_when_it_is_said_to_be_shared";
    const FOLDER: &str = "COZE_AUTH_STORE_TEST_FOLDER";
    if let (true, Some(folder)) = (is_child(name), std::env::var_os(FOLDER)) {
        let folder = Folder(folder.into());
        let error = FileStore::new(&folder.0).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::FolderOfAnother {
                    owner: 0,
                    user: SOMEBODY,
                    ..
                }
            ),
            "{error}"
        );
        let store = FileStore::in_shared_folder(&folder.0).unwrap();
        // Nobody else can read what is planted here, and its owner is told all the same.
        let error = store.load(&key("planted")).unwrap_err();
        assert!(
            matches!(error, StoreError::OfAnother { owner: 0, .. }),
            "{error}"
        );
        let mut held = store.lock(&key("alice"), PATIENCE).unwrap();
        held.prepare().unwrap();
        held.save(&grant(1)).unwrap();
        held.prepare().unwrap();
        drop(held);
        assert_eq!(loaded(&store, &key("alice")).unwrap(), "SENTINEL-r1");
        std::mem::forget(folder);
        return;
    }
    if !is_root(name) {
        return;
    }
    let folder = Folder::new("empty-dir");
    save(&folder.store(), &key("planted"), 1);
    set_mode(&folder.0, 0o777);
    // Where everybody may run it.
    let own = folder.0.join("test");
    fs::copy(std::env::current_exe().unwrap(), &own).unwrap();
    set_mode(&own, 0o755);
    let variable = format!("{FOLDER}={}", folder.0.to_str().unwrap());
    let somebody = SOMEBODY.to_string();
    let by = [
        &["env", "--chdir=/", &variable, "setpriv", "--clear-groups"][..],
        &["--reuid", &somebody, "--regid", &somebody],
    ];
    run_there(&by.concat(), &own, name);
}

/// Whoever may write to the folder above can put something else in the place of this one while the store is in use.
#[test]
fn a_folder_that_was_exchanged_is_neither_followed_nor_waited_for() {
    for kind in ["symbolic link", "FIFO"] {
        let (folder, elsewhere) = (Folder::new("exchanged"), Folder::new("exchanged-for"));
        let store = folder.store();
        elsewhere.store();
        fs::remove_dir_all(&folder.0).unwrap();
        plant(kind, &elsewhere.0, &folder.0);
        let (told, tell) = mpsc::channel();
        thread::spawn(move || told.send(store.lock(&key("alice"), PATIENCE).map(drop)));
        let locked = tell.recv_timeout(PATIENCE);
        let error = locked.expect("it waits for somebody").expect_err(kind);
        let text = error.to_string();
        assert!(text.starts_with("cannot open "), "{kind}: {text}");
        assert!(fs::read_dir(&elsewhere.0).unwrap().next().is_none());
        fs::remove_file(&folder.0).unwrap();
    }
}
