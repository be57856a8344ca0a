//! The least rights of the store's user, on a real server.

mod server;
mod support;

use std::thread;
use std::time::{Duration, Instant};

use coze_auth_redis::{Danger, Finding, RedisOptions, RedisStore};
use coze_auth_store::{GrantStore, Saved};

use server::Server;
use support::{access, grant, key};

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(30);

/// The server's answer to `ACL SETUSER coze …`, the words of this text.
fn user(server: &Server, rights: &str) {
    let words: Vec<&str> = ["ACL", "SETUSER", "coze"]
        .into_iter()
        .chain(rights.split(' '))
        .collect();
    assert_eq!(server.tell(&words), "OK", "{rights}");
}

/// As the user with exactly the rights that the options tell.
fn options(server: &Server, change: impl Fn(RedisOptions) -> RedisOptions) -> RedisOptions {
    let options = support::options(server)
        .login("coze", "pw")
        .expect("a login");
    let options = change(options);
    user(server, &format!("on >pw {}", options.rights()));
    options
}

fn check(options: &RedisOptions) -> Vec<Finding> {
    support::runtime()
        .block_on(options.check())
        .expect("connected")
}

#[test]
fn the_whole_store_runs_with_the_least_rights() {
    let Some(server) = Server::start("the_whole_store_runs_with_the_least_rights", &[]) else {
        return;
    };
    let of_shop = |options: RedisOptions| options.prefix("shop:").expect("a prefix").database(3);
    for options in [options(&server, |same| same), options(&server, of_shop)] {
        user(&server, &format!("on >pw {}", options.rights()));
        let store = || RedisStore::with(options.clone()).expect("options");
        let (one, other, key) = (store(), store(), key("alice"));
        let mut held = GrantStore::lock(&one, &key, NOW).expect("the lease");
        held.prepare().expect("it is ours");
        assert_eq!(held.save(&grant(1)).expect("saved"), Saved::Stored);
        let mut held = GrantStore::lock(&one, &key, NOW).expect("the lease");
        // One who waits is woken: it does not wait for its next look, a second later.
        let waits = thread::spawn({
            let (other, key) = (other.clone(), key.clone());
            move || {
                drop(GrantStore::lock(&other, &key, LONG).expect("the lease"));
                Instant::now()
            }
        });
        let channels = || server.tell(&["PUBSUB", "CHANNELS", "*"]);
        let began = Instant::now();
        while channels().is_empty() {
            assert!(began.elapsed() < LONG, "nobody has subscribed");
            thread::sleep(Duration::from_millis(5));
        }
        held.load().expect("a grant");
        assert_eq!(held.save(&grant(2)).expect("saved"), Saved::Stored);
        let saved = Instant::now();
        let woken = waits
            .join()
            .expect("a thread")
            .saturating_duration_since(saved);
        assert!(woken < Duration::from_millis(400), "{woken:?}");
        assert_eq!(access(&other, &key).as_deref(), Some("access-2"));
        GrantStore::lock(&one, &key, LONG)
            .and_then(|mut held| held.remove())
            .expect("removed");
        assert_eq!(access(&one, &key), None);
        assert_eq!(check(&options), []);
    }
    // Nothing that the server noted as refused.
    assert_eq!(server.ask(&["ACL", "LOG"]), Vec::<String>::new());
}

#[test]
fn each_right_that_is_missing_is_named_with_what_gives_it() {
    let Some(server) = Server::start("each_right_that_is_missing_is_named", &[]) else {
        return;
    };
    let options = options(&server, |same| same);
    assert_eq!(check(&options), []);
    let rights = options.rights();
    let commands: Vec<&str> = rights
        .split(' ')
        .filter_map(|word| word.strip_prefix('+'))
        .collect();
    assert!(commands.len() > 10, "{rights}");
    for command in commands {
        user(&server, &format!("-{command}"));
        let found = check(&options);
        let mend = format!("ACL SETUSER coze +{command}");
        assert_eq!(found.len(), 1, "{command}: {found:?}");
        assert!(found[0].mend().starts_with(&mend), "{command}: {found:?}");
        let danger = match command {
            "info" | "config|get" => Danger::NotLooked,
            _ => Danger::Right,
        };
        assert_eq!(found[0].danger(), danger, "{command}");
        // What it says mends it.
        user(&server, &format!("+{command}"));
        assert_eq!(check(&options), [], "{command}");
    }
    for (take, give) in [("resetkeys", "~coze:*"), ("resetchannels", "&coze:*")] {
        user(&server, take);
        let found = check(&options);
        assert_eq!(found.len(), 1, "{take}: {found:?}");
        assert_eq!(found[0].mend(), format!("ACL SETUSER coze {give}"));
        user(&server, give);
        assert_eq!(check(&options), [], "{take}");
    }
    // Another prefix: neither keys nor channels.
    let other = options.prefix("shop:").expect("a prefix");
    let mended: Vec<String> = check(&other)
        .iter()
        .map(|found| found.mend().to_owned())
        .collect();
    assert_eq!(
        mended,
        ["ACL SETUSER coze ~shop:*", "ACL SETUSER coze &shop:*"]
    );
    assert_eq!(server.tell(&["DBSIZE"]), "0", "nothing is left behind");
}

#[test]
fn a_server_that_takes_no_writes_is_told_with_its_reason() {
    let test = "a_server_that_takes_no_writes";
    let Some(server) = Server::start(test, &[]) else {
        return;
    };
    let options = support::options(&server);
    let refused = |code: &str| {
        let found = check(&options);
        let refused: Vec<_> = found
            .iter()
            .filter(|found| found.danger() == Danger::Refused)
            .collect();
        assert_eq!(refused.len(), 1, "{found:?}");
        assert_eq!(refused[0].found(), format!("writes are refused ({code})"));
    };
    let set = |name: &str, value: &str| {
        assert_eq!(server.tell(&["CONFIG", "SET", name, value]), "OK");
    };
    set("maxmemory", "1");
    refused("OOM");
    set("maxmemory", "0");
    set("min-replicas-to-write", "1");
    refused("NOREPLICAS");
    set("min-replicas-to-write", "0");
    // A folder in the place of the snapshot.
    let place = server.folder().join("dump.rdb");
    std::fs::create_dir(&place).expect("a folder");
    set("save", "3600 1");
    server.tell(&["BGSAVE"]);
    let began = Instant::now();
    while !server
        .tell(&["INFO", "persistence"])
        .contains("rdb_last_bgsave_status:err")
    {
        assert!(began.elapsed() < LONG, "{}", server.log());
        thread::sleep(Duration::from_millis(10));
    }
    refused("MISCONF");
    std::fs::remove_dir(&place).expect("the folder");
    server.tell(&["BGSAVE"]);
    while server.tell(&["DBSIZE"]) != "0" || !check(&options).is_empty() {
        let left = || server.ask(&["KEYS", "*"]);
        assert!(began.elapsed() < LONG, "{:?} {:?}", left(), check(&options));
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_readme_has_the_rights() {
    let readme = include_str!("../README.md").replace(['\'', '\\'], "");
    let words = readme.split_whitespace();
    let readme = words.collect::<Vec<_>>().join(" ");
    let rights = RedisOptions::from_url("redis://host")
        .expect("a URL")
        .rights();
    let line = format!("ACL SETUSER coze on >PASSWORD {rights}");
    assert!(readme.contains(&line), "the README does not have: {line}");
}
