//! A grant that cannot be written: it is found out before its refresh token is spent, whatever the reason.
#![cfg(target_os = "linux")]

#[path = "folder/child.rs"]
mod child;
mod folder;

use std::error::Error as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use coze_auth_store::{FileStore, GrantKey, GrantStore as _, StoreError};

use child::{SOMEBODY, is_child, is_root, run, run_by, run_there};
use folder::{Folder, PATIENCE, grant, key, loaded, save};

/// Runs the test with mounts that nobody else sees, and that go with its process.
fn in_own_mounts(name: &str, test: impl FnOnce()) {
    if is_child(name) {
        test();
    } else if is_root(name) {
        run_by(&["unshare", "--mount", "--propagation", "private"], name);
    }
}

fn mount(arguments: &[&str], what: &Path, place: &Path) {
    let paths = [what.to_str().unwrap(), place.to_str().unwrap()];
    run("mount", &[arguments, &paths].concat());
}

/// Locks, reads and prepares, as a renewal does before it sends anything.
fn prepared(store: &FileStore, key: &GrantKey) -> Result<(), StoreError> {
    let mut held = store.lock(key, PATIENCE)?;
    held.load()?;
    held.prepare()
}

/// What a renewal meets before it sends anything, while the folder is as it should be, not, and again.
fn costs_nothing(
    folder: &Path,
    store: &FileStore,
    spoil: impl FnOnce(&Path),
    mend: impl FnOnce(&Path),
) -> StoreError {
    let key = key("alice");
    save(store, &key, 0);
    let path = store.path(&key);
    let before = fs::read(&path).unwrap();
    spoil(&path);
    let error = prepared(store, &key).expect_err("a grant could be stored");
    assert_eq!(fs::read(&path).unwrap(), before, "left as it is");
    assert!(store.load(&key).unwrap().is_some());
    // Nor is a new process kept from what is still good.
    let fresh = FileStore::new(folder).and_then(|store| store.load(&key));
    assert!(fresh.unwrap().is_some());
    mend(&path);
    prepared(store, &key).unwrap();
    save(store, &key, 1);
    assert_eq!(loaded(store, &key).unwrap(), "SENTINEL-r1");
    let beside = path.with_extension("tmp");
    assert!(!beside.exists(), "nothing is left");
    error
}

/// `docker run -v FILE:FILE`: it can be written, but not renamed over.
#[test]
fn a_file_that_is_a_mount_of_its_own() {
    in_own_mounts("a_file_that_is_a_mount_of_its_own", || {
        for options in [&["--bind"][..], &["--bind", "-o", "ro"]] {
            let folder = Folder::new("mount");
            let mounted = folder.0.join("outside");
            let grants = folder.0.join("grants");
            let store = FileStore::new(&grants).unwrap();
            let error = costs_nothing(
                &grants,
                &store,
                |path| {
                    fs::copy(path, &mounted).unwrap();
                    mount(options, &mounted, path);
                },
                |path| run("umount", &[path.to_str().unwrap()]),
            );
            let path = store.path(&key("alice"));
            assert!(
                matches!(&error, StoreError::MountPoint { path: named } if *named == path),
                "{error}"
            );
            assert!(error.to_string().contains("Mount its folder"), "{error}");

            // Nor can a person log out: it is told, and the tokens are there still.
            mount(options, &mounted, &path);
            let mut held = store.lock(&key("alice"), PATIENCE).unwrap();
            let error = held.remove().unwrap_err();
            assert!(matches!(error, StoreError::MountPoint { .. }), "{error}");
            run("umount", &[path.to_str().unwrap()]);
        }
    });
}

/// As it is before the first login: an empty file, which somebody made so that there is something to mount.
#[test]
fn an_empty_file_that_is_a_mount_of_its_own() {
    in_own_mounts("an_empty_file_that_is_a_mount_of_its_own", || {
        let folder = Folder::new("empty");
        let store = folder.store();
        let path = store.path(&key("alice"));
        let mounted = folder.0.join("outside");
        fs::write(&mounted, "").unwrap();
        fs::write(&path, "").unwrap();
        mount(&["--bind"], &mounted, &path);
        let mut held = store.lock(&key("alice"), PATIENCE).unwrap();
        for error in [
            held.prepare().unwrap_err(),
            held.save(&grant(1)).unwrap_err(),
        ] {
            assert!(
                matches!(&error, StoreError::MountPoint { path: named } if *named == path),
                "{error}"
            );
        }
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(folder.files().len(), 2, "nothing is left beside");
        drop(held);
        run("umount", &[path.to_str().unwrap()]);
    });
}

#[test]
fn a_disk_that_is_read_only() {
    in_own_mounts("a_disk_that_is_read_only", || {
        for mode in [0o700, 0o777] {
            let folder = Folder::new("read-only");
            let store = folder.store();
            let error = costs_nothing(
                &folder.0,
                &store,
                |path| {
                    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
                    // Nobody can write to it, so that it says so is nothing to close.
                    fs::set_permissions(&folder.0, fs::Permissions::from_mode(mode)).unwrap();
                    mount(&["--bind"], &folder.0, &folder.0);
                    mount(&["-o", "remount,bind,ro"], &folder.0, &folder.0);
                },
                |_| {
                    run("umount", &[folder.0.to_str().unwrap()]);
                },
            );
            assert_eq!(kind(&error), std::io::ErrorKind::ReadOnlyFilesystem);
            let notices = store.notices();
            let of_file = |notice: &String| {
                notice.contains("(mode 0644)") && notice.contains("stays so: Read-only")
            };
            assert!(notices.iter().any(of_file), "{notices:?}");
        }
    });
}

#[test]
fn a_disk_that_is_full() {
    in_own_mounts("a_disk_that_is_full", || {
        // Not a page; and one, which is enough for a copy of the grant and not for the room of the next.
        for left in 0..2 {
            let folder = Folder::new("full");
            fs::create_dir(&folder.0).unwrap();
            mount(
                &["-t", "tmpfs", "-o", "size=64k,mode=0700"],
                Path::new("none"),
                &folder.0,
            );
            let store = folder.store();
            let filler = folder.0.join("filler");
            let error = costs_nothing(
                &folder.0,
                &store,
                |_| {
                    let mut file = fs::File::create(&filler).unwrap();
                    while file.write_all(&[0; 4096]).is_ok() {}
                    let all = file.metadata().unwrap().len();
                    file.set_len(all - left * 4096).unwrap();
                },
                |_| fs::remove_file(&filler).unwrap(),
            );
            assert_eq!(kind(&error), std::io::ErrorKind::StorageFull, "{left}");

            // A login that cannot be written leaves a damaged file where it is.
            let path = store.path(&key("alice"));
            fs::write(&path, "damaged").unwrap();
            let mut held = store.lock(&key("alice"), PATIENCE).unwrap();
            let mut file = fs::File::create(&filler).unwrap();
            while file.write_all(&[0; 4096]).is_ok() {}
            let error = held.save(&grant(2)).unwrap_err();
            assert_eq!(kind(&error), std::io::ErrorKind::StorageFull);
            assert_eq!(fs::read(&path).unwrap(), b"damaged");
            drop((held, file));
            run("umount", &[folder.0.to_str().unwrap()]);
        }
    });
}

/// `chattr +i`, on the file or on its folder.
#[test]
fn a_file_or_folder_that_is_immutable() {
    let name = "a_file_or_folder_that_is_immutable";
    if !is_root(name) {
        return;
    }
    let folder = Folder::new("immutable");
    let store = folder.store();
    let chattr = |flag: &str, path: &Path| run("chattr", &[flag, path.to_str().unwrap()]);
    let error = costs_nothing(
        &folder.0,
        &store,
        |path| chattr("+i", path),
        |path| chattr("-i", path),
    );
    let text = error.to_string();
    assert!(text.starts_with("cannot replace "), "{text}");
    assert_eq!(kind(&error), std::io::ErrorKind::PermissionDenied);
    let error = costs_nothing(
        &folder.0,
        &store,
        |_| chattr("+i", &folder.0),
        |_| chattr("-i", &folder.0),
    );
    let text = error.to_string();
    assert!(text.starts_with("cannot write "), "{text}");
    assert_eq!(kind(&error), std::io::ErrorKind::PermissionDenied);
}

/// Root may write everywhere; somebody else may not.
#[test]
fn a_folder_that_must_not_be_written() {
    let name = "a_folder_that_must_not_be_written";
    if is_child(name) {
        let folder = Folder::new("unwritable");
        let store = folder.store();
        let set_mode = |mode| {
            fs::set_permissions(&folder.0, fs::Permissions::from_mode(mode)).unwrap();
        };
        let error = costs_nothing(&folder.0, &store, |_| set_mode(0o500), |_| set_mode(0o700));
        let text = error.to_string();
        assert!(text.starts_with("cannot write "), "{text}");
        assert_eq!(kind(&error), std::io::ErrorKind::PermissionDenied);
    } else if !rustix::process::geteuid().is_root() {
        run_by(&["env"], name);
    } else {
        let folder = Folder::new("program");
        fs::create_dir(&folder.0).unwrap();
        // Where everybody may run it.
        let own = folder.0.join("test");
        fs::copy(std::env::current_exe().unwrap(), &own).unwrap();
        let somebody = SOMEBODY.to_string();
        let by = [
            "env",
            "--chdir=/",
            "setpriv",
            "--clear-groups",
            "--reuid",
            &somebody,
            "--regid",
            &somebody,
        ];
        run_there(&by, &own, name);
    }
}

/// What the system said.
fn kind(error: &StoreError) -> std::io::ErrorKind {
    let source = error
        .source()
        .and_then(|cause| cause.downcast_ref::<std::io::Error>());
    source.unwrap_or_else(|| panic!("{error}")).kind()
}
