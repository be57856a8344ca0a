//! Saved grants: which form it is in the first line (`grant`, `login`, `file`, `sealed`, `seal key`), then the text.
//!
//! What is read is what would be written; a text of another grant, a changed seal and a newer form are never taken; no error shows the text.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use coze_auth_core::Endpoints;
use coze_auth_core::TokenGrant;
use coze_auth_core::authorize::PendingAuthorization;
use coze_auth_core::device::DeviceApp;
use coze_auth_store::{FileStore, GrantKey, GrantStore as _};

use crate::redis::seal::{self, SealKey, SealKeys};
use crate::support::{SENTINEL, is_plain, keeps, now, shown};

/// A folder of this process, in memory where the system has such a one.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let below = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    below.join(format!("coze-auth-fuzz-{}", std::process::id()))
});

fn key(subject: &str) -> GrantKey {
    let app = DeviceApp::new(Endpoints::cn(), "1234.app.coze").expect("an app");
    GrantKey::new(&app.into(), subject).expect("a key")
}

fn saved(text: &str) {
    match TokenGrant::from_secret_json(text) {
        Ok(grant) => {
            let json = grant.to_secret_json();
            let again = TokenGrant::from_secret_json(json.expose()).expect("what was written");
            assert_eq!(again.to_secret_json().expose(), json.expose());
            let token = grant.access_token.expose();
            assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
            if token.len() > 24 {
                keeps("Debug", &format!("{grant:?}"), &[token]);
            }
            let _ = (
                grant.remaining(now().unix),
                grant.issued_token().remaining(now().unix),
            );
        }
        Err(error) => {
            keeps("an error", &shown(&error), &[SENTINEL]);
            is_plain("an error", &error.to_string());
        }
    }
}

fn login(text: &str) {
    match PendingAuthorization::from_secret_json(text) {
        Ok(login) => {
            let json = login.to_secret_json();
            let again = PendingAuthorization::from_secret_json(json.expose());
            let again = again.expect("what was written");
            assert_eq!(again.to_secret_json().expose(), json.expose());
        }
        Err(error) => {
            keeps("an error", &shown(&error), &[SENTINEL]);
            is_plain("an error", &error.to_string());
        }
    }
}

/// A file in the place of alice's grant.
fn file(bytes: &[u8]) {
    let store = FileStore::new(&*FOLDER).expect("a folder");
    let (alice, bob) = (key("alice"), key("bob"));
    std::fs::write(store.path(&alice), bytes).expect("a file");
    let loaded = store.load(&alice);
    // The same text is nobody else's grant.
    std::fs::write(store.path(&bob), bytes).expect("a file");
    if let (Ok(Some(_)), Ok(Some(_))) = (&loaded, store.load(&bob)) {
        panic!("one file is the grant of two");
    }
    match loaded {
        Ok(None) => panic!("there is a file"),
        Ok(Some(grant)) => {
            let mut lock = store
                .lock(&alice, Duration::ZERO)
                .expect("nobody else has it");
            lock.prepare().expect("it can be written");
            lock.save(&grant).expect("it is written");
            drop(lock);
            let again = store.load(&alice).expect("what was written");
            let again = again.expect("it is there");
            assert_eq!(
                again.to_secret_json().expose(),
                grant.to_secret_json().expose()
            );
        }
        Err(error) => {
            let told = shown(&error);
            keeps("an error", &told, &[SENTINEL]);
            is_plain("an error", &told);
        }
    }
}

/// What the library wrote with this key stands in the corpus no longer than the key: it is made here.
fn keys() -> SealKeys {
    let key = SealKey::new("2026-11", &std::array::from_fn(|at| at as u8)).expect("a key");
    SealKeys::new(key)
}

/// A value out of Redis. `{sealed}` in it is one that the library has sealed, `{head}` what that begins with, and the rest a change of it.
fn sealed(text: &str) {
    const GRANT: &str = "a-grant";
    const PLAIN: &str = r#"{"access_token":"Sentinel-plain"}"#;
    let keys = keys();
    let own = keys.seal(PLAIN, GRANT, 5).expect("random numbers");
    let head = own.rfind(':').map_or("", |at| &own[..=at]);
    let stored = text.replace("{sealed}", &own).replace("{head}", head);
    for (keys, revision) in [(Some(&keys), 5), (Some(&keys), 6), (None, 5)] {
        match seal::open(keys, &stored, GRANT, revision) {
            Ok(plain) if stored.starts_with("sealed") => {
                let is_own = stored == own && revision == 5 && keys.is_some();
                assert!(is_own, "a forged seal opens: {stored}");
                assert_eq!(*plain, PLAIN);
            }
            Ok(plain) => assert_eq!(*plain, stored, "a plain value is itself"),
            Err(error) => {
                let told = shown(&error);
                keeps("an error", &told, &[SENTINEL]);
                is_plain("an error", &told);
                assert!(
                    stored.starts_with("sealed"),
                    "a plain value is taken: {told}"
                );
            }
        }
    }
    let strict = self::keys().sealed_only();
    if let Ok(plain) = seal::open(Some(&strict), &stored, GRANT, 5) {
        assert_eq!((stored.as_str(), plain.as_str()), (own.as_str(), PLAIN));
    }
}

/// A key that people have pasted.
fn seal_key(text: &str) {
    let (name, text) = text.split_once('\n').unwrap_or(("2026-11", text));
    match SealKey::from_text(name, text) {
        Ok(key) => {
            assert_eq!(key.name(), name);
            let keys = SealKeys::new(key);
            let sealed = keys.seal("plain", "grant", 1).expect("random numbers");
            let opened = seal::open(Some(&keys), &sealed, "grant", 1).expect("its own");
            assert_eq!(*opened, "plain");
            assert!(
                keys.and(SealKey::from_text(name, text).expect("as before"))
                    .is_err()
            );
        }
        Err(error) => {
            let told = shown(&error);
            keeps("an error", &told, &[SENTINEL]);
            if text.trim().len() > 16 {
                keeps("an error", &told, &[text.trim()]);
            }
            is_plain("an error", &told);
        }
    }
}

/// One saved text.
pub(crate) fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let Some(end) = end else { return };
    let (form, text) = (&data[..end], &data[end + 1..]);
    if form == b"file" {
        return file(text);
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    match form {
        b"grant" => saved(text),
        b"login" => login(text),
        b"sealed" => sealed(text),
        b"seal key" => seal_key(text),
        _ => {}
    }
}
