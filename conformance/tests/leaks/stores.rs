//! Token sources over stores that fail, and the keys and passwords of stores.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coze_auth_core::TokenGrant;
use coze_auth_redis::{RedisOptions, RedisStore, SealKey, SealKeys};
use coze_auth_store::{FileStore, GrantStore};
use coze_auth_tokens::blocking::TokenSource;

use crate::clients::web;
use crate::logs;
use crate::scenes::{self, Server, Wire, secret};
use crate::texts::{Name, Part, Texts};

/// All of them answer at once, or never.
const SHORT: Duration = Duration::from_millis(50);

const LOGIN: Name = "source of a login";
const FULL: Name = "a full disk";
const TEMPORARY: Name = "no folder for what is written";

pub(crate) const FILES: Part = Part {
    who: &["FileStore"],
    flows: &[(
        LOGIN,
        &[
            "client secret",
            "refresh token",
            "new refresh token",
            "access token",
        ],
    )],
    failures: &[
        "a damaged file",
        "a file that was cut off",
        "bytes that are not text",
        "a folder in place of the file",
        "a file in place of the folder",
        TEMPORARY,
        FULL,
    ],
    places: &["Debug", "Display", "causes", "log (ours)"],
    cannot: &[(
        &[],
        &[],
        &[FULL],
        &["log (ours)"],
        "no renewal begins, and nothing else is logged",
    )],
};

pub(crate) const REDIS: Part = Part {
    who: &["RedisStore"],
    flows: &[(
        LOGIN,
        &[
            "client secret",
            "refresh token",
            "access token",
            "Redis password",
            "sealing key",
        ],
    )],
    failures: &["refused, quoted", "no RESP", "a reset", "no server"],
    places: &["Debug", "Display", "causes", "log (ours)"],
    cannot: &[(
        &[],
        &[],
        &[],
        &["log (ours)"],
        "no renewal begins, and nothing else is logged",
    )],
};

pub(crate) const SETTINGS: Part = Part {
    who: &["settings of RedisStore"],
    flows: &[
        ("sealing key", &["sealing key"]),
        ("URL", &["Redis password"]),
    ],
    failures: &[
        "success",
        "cut off",
        "another character",
        "in a wrong place",
    ],
    places: &["Debug", "Display", "causes"],
    cannot: &[(
        &[],
        &[],
        &["success"],
        &["Display", "causes"],
        "it does not fail",
    )],
};

/// A source of a login that has ended, over this store: what it shows and says.
fn play<S: GrantStore + Clone + 'static>(store: S, spoil: impl FnOnce(), texts: &mut Texts) {
    let wire = Wire(Server::Good, |_, _| {});
    let app = web("https://api.coze.cn");
    let tokens = TokenSource::stored(&wire, app, "alice", store).expect("a subject");
    let tokens = tokens.observe(coze_auth_tokens::trace);
    let grant = TokenGrant::from_secret_json(&scenes::saved(1_700_000_000)).expect("a grant");
    texts.result(&tokens.install(grant));
    spoil();
    texts.debug(&tokens);
    texts.result(&tokens.token());
    texts.result(&tokens.whoami());
    texts.result(&tokens.forget());
    drop(tokens.close());
}

fn folder() -> PathBuf {
    let name = format!("coze-auth-leaks-{}-stores", std::process::id());
    std::env::temp_dir().join(name)
}

/// The files of the grants.
fn grants(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("a file").path());
    paths
        .filter(|path| fs::read(path).is_ok_and(|bytes| bytes.contains(&b'{')))
        .collect()
}

fn spoil(failure: Name, folder: &Path) {
    if failure == "a file in place of the folder" {
        fs::remove_dir_all(folder).expect("a folder");
        return fs::write(folder, secret("refresh token").as_bytes()).expect("a file");
    }
    let grants = grants(folder);
    assert_ne!(grants, [] as [PathBuf; 0], "nothing was stored");
    for path in grants {
        let mut bytes = fs::read(&path).expect("a grant");
        match failure {
            "a damaged file" => {
                let text = String::from_utf8(bytes).expect("JSON");
                bytes = text.replace("\":", "\";").into_bytes();
            }
            "a file that was cut off" => bytes.truncate(bytes.len() - 8),
            "bytes that are not text" => {
                let at = bytes.len() / 2;
                bytes[at] = 0xff;
            }
            "a folder in place of the file" => {
                fs::remove_file(&path).expect("a file");
                fs::create_dir(&path).expect("a folder");
                fs::write(path.join("x"), secret("refresh token").as_bytes()).expect("a file");
                continue;
            }
            // It is written there first.
            TEMPORARY => {
                fs::create_dir(path.with_extension("tmp")).expect("a folder");
                continue;
            }
            other => panic!("unknown failure {other}"),
        }
        fs::write(path, bytes).expect("a file");
    }
}

/// A server that refuses all that it is sent, and quotes it.
fn redis(failure: Name) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    if failure == "no server" {
        return port;
    }
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || {
                let mut bytes = [0; 65_536];
                while let Ok(length @ 1..) = stream.read(&mut bytes) {
                    let sent = bytes[..length].escape_ascii().to_string();
                    let calls = bytes[..length].split(|byte| *byte == b'\n');
                    let calls = calls.filter(|line| line.starts_with(b"*")).count();
                    let answer = match failure {
                        "refused, quoted" => {
                            format!("-ERR {sent} {}\r\n", &*secret("access token")).repeat(calls)
                        }
                        "no RESP" => format!("HTTP/1.1 400 Bad Request\r\n\r\n{sent}"),
                        _ => return,
                    };
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// 64 digits, as a key may be written: those of 32 letters that the sentinel begins with.
fn sealing_key() -> String {
    let bytes = secret("sealing key");
    bytes
        .bytes()
        .take(32)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn settings(flow: Name, failure: Name, texts: &mut Texts) {
    let shown = |texts: &mut Texts, result: Result<RedisOptions, _>| match &result {
        Ok(options) => texts.debug(options),
        Err(error) => texts.error(error),
    };
    let key = sealing_key();
    let password = secret("Redis password");
    match (flow, failure) {
        ("sealing key", "success") => {
            let key = SealKey::from_text("2026-11", &key).expect("a key");
            texts.debug(&key);
            texts.debug(&SealKeys::new(key));
        }
        ("sealing key", _) => {
            let error = match failure {
                "cut off" => SealKey::from_text("2026-11", &key[..60]),
                "another character" => SealKey::from_text("2026-11", &key.replace('4', "?")),
                _ => SealKey::from_text(&key[..30], &key)
                    .and_then(|_| SealKey::from_text(&key, "2026-11")),
            };
            texts.error(&error.expect_err("it is wrong"));
        }
        (_, "success") => {
            shown(
                texts,
                RedisOptions::from_url(&format!("redis://user:{}@127.0.0.1:1", &*password)),
            );
        }
        (_, "cut off") => shown(
            texts,
            RedisOptions::from_url(&format!("redis://user:{}", &*password)),
        ),
        (_, "another character") => {
            shown(
                texts,
                RedisOptions::from_url(&format!("redis://user:{}%/?#@127.0.0.1", &*password)),
            );
        }
        _ => {
            // The password alone is taken for a user; and for a database, and a host.
            for url in [
                "redis://{}@127.0.0.1",
                "redis://127.0.0.1/{}",
                "{}",
                "{}://host",
                "redis://127.0.0.1?password={}",
            ] {
                shown(texts, RedisOptions::from_url(&url.replace("{}", &password)));
            }
        }
    }
}

pub(crate) fn all(texts: &mut Texts) {
    for failure in FILES.failures {
        texts.at(FILES.who[0], LOGIN, failure);
        if *failure == FULL {
            on_a_full_disk(texts);
            continue;
        }
        let folder = folder();
        let store = FileStore::new(&folder).expect("a folder");
        texts.debug(&store);
        play(store, || spoil(failure, &folder), texts);
        logs::into(texts);
        drop(fs::remove_dir_all(&folder).or_else(|_| fs::remove_file(&folder)));
    }
    for failure in REDIS.failures {
        texts.at(REDIS.who[0], LOGIN, failure);
        let password = secret("Redis password");
        let url = format!("redis://user:{}@127.0.0.1:{}", &*password, redis(failure));
        let key = SealKey::from_text("2026-11", &sealing_key()).expect("a key");
        let options = RedisOptions::from_url(&url).expect("a URL");
        let options = options
            .sealed(SealKeys::new(key))
            .connect_within(SHORT)
            .answer_within(SHORT);
        let store = RedisStore::with(options).expect("options");
        texts.debug(&store);
        texts.result(&store.check_blocking());
        play(store, || {}, texts);
        logs::into(texts);
    }
    for (flow, _) in SETTINGS.flows {
        for failure in SETTINGS.failures {
            texts.at(SETTINGS.who[0], flow, failure);
            settings(flow, failure, texts);
        }
    }
}

/// In the child: nothing can be written to a file.
const CHILD: &str = "COZE_AUTH_LEAKS_FULL";

/// What a process shows that may not write a byte to a file.
fn on_a_full_disk(texts: &mut Texts) {
    let folder = folder();
    let store = FileStore::new(&folder).expect("a folder");
    play(store, || {}, &mut Texts::default());
    logs::into(&mut Texts::default());
    let limited = "trap '' XFSZ; ulimit -f 0; exec \"$0\" --exact stores::a_full_disk --nocapture";
    let output = std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().expect("this program"))
        .env(CHILD, &folder)
        .output()
        .expect("a shell");
    drop(fs::remove_dir_all(folder));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    for place in FILES.places {
        let lines = told.lines().filter_map(|line| line.split_once(TOLD));
        let lines = lines.filter_map(|(_, line)| line.strip_prefix(place));
        lines.for_each(|line| texts.look(place, line));
    }
}

/// Begins what the child tells.
const TOLD: &str = "seen in ";

/// In a child, the scene; else nothing.
#[test]
fn a_full_disk() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    logs::catch();
    let mut texts = Texts::default();
    texts.at(FILES.who[0], LOGIN, FULL);
    let store = FileStore::new(folder).expect("a folder");
    play(store, || {}, &mut texts);
    logs::into(&mut texts);
    for (place, text) in texts.places() {
        println!("{TOLD}{place}: {text:?}");
    }
}
