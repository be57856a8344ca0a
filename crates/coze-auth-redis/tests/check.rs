//! What `check` finds on a real server.

mod server;
mod support;

use std::fs;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use coze_auth_redis::{Danger, Finding, RedisOptions, RedisStore};
use coze_auth_store::{GrantStore, Listener};
use server::Server;

/// A guard: how long a server may take to notice something.
const GUARD: Duration = Duration::from_secs(60);

fn options(server: &Server) -> RedisOptions {
    RedisOptions::from_url(&server.url())
        .expect("a URL")
        .connect_within(Duration::from_secs(20))
        .answer_within(Duration::from_secs(20))
}

async fn findings(server: &Server) -> Vec<Finding> {
    options(server).check().await.expect("connected")
}

/// The dangers, and no more of them.
#[track_caller]
fn dangers(findings: &[Finding]) -> Vec<Danger> {
    findings.iter().map(Finding::danger).collect()
}

fn set(server: &Server, name: &str, value: &str) {
    assert_eq!(server.tell(&["CONFIG", "SET", name, value]), "OK");
}

fn until(server: &Server, what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < GUARD, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn each_setting_that_endangers_logins_is_told_with_what_mends_it() {
    let Some(server) = Server::start("each_setting", &[]) else {
        return;
    };
    assert_eq!(findings(&server).await, []);
    // Every other policy may take a login, and none does without a limit.
    set(&server, "maxmemory-policy", "volatile-ttl");
    assert_eq!(findings(&server).await, []);
    set(&server, "maxmemory", "200000000");
    for policy in [
        "volatile-ttl",
        "allkeys-lru",
        "volatile-lru",
        "allkeys-random",
    ] {
        set(&server, "maxmemory-policy", policy);
        let found = findings(&server).await;
        assert_eq!(dangers(&found), [Danger::Eviction], "{policy}");
        let told = found[0].to_string();
        let begins =
            format!("maxmemory-policy is {policy}, with maxmemory 200000000: when memory is full");
        assert!(told.starts_with(&begins), "{told}");
        assert!(
            told.contains("CONFIG SET maxmemory-policy noeviction"),
            "{told}"
        );
    }
    set(&server, "maxmemory-policy", "noeviction");
    assert_eq!(findings(&server).await, []);

    for synced in ["no", "everysec"] {
        set(&server, "appendfsync", synced);
        let found = findings(&server).await;
        assert_eq!(dangers(&found), [Danger::Fsync], "{synced}");
        let told = found[0].to_string();
        let begins = format!("appendfsync says `{synced}`: a crash of the machine");
        assert!(told.starts_with(&begins), "{told}");
        assert!(told.contains("CONFIG SET appendfsync always"), "{told}");
    }
    // Without the file it does not matter.
    set(&server, "appendonly", "no");
    let found = findings(&server).await;
    assert_eq!(dangers(&found), [Danger::AppendOnly]);
    let mend = found[0].mend();
    assert!(
        mend.starts_with("CONFIG SET appendonly yes first"),
        "{mend}"
    );
    // What it says mends it.
    set(&server, "appendonly", "yes");
    set(&server, "appendfsync", "always");
    assert_eq!(findings(&server).await, []);
}

#[tokio::test]
async fn a_save_that_failed_is_told() {
    let Some(server) = Server::start("a_save_that_failed", &[]) else {
        return;
    };
    // A folder in the place of the snapshot; root may write into anything else.
    let place = server.folder().join("dump.rdb");
    fs::create_dir(&place).expect("a folder");
    let status = |line: &str| server.tell(&["INFO", "persistence"]).contains(line);
    server.tell(&["BGSAVE"]);
    until(&server, || status("rdb_last_bgsave_status:err"));
    let found = findings(&server).await;
    assert_eq!(dangers(&found), [Danger::SaveFailed]);
    assert!(found[0].mend().contains("then BGSAVE"), "{found:?}");
    fs::remove_dir(&place).expect("the folder");
    server.tell(&["BGSAVE"]);
    until(&server, || status("rdb_last_bgsave_status:ok"));
    assert_eq!(findings(&server).await, []);
}

#[tokio::test]
async fn a_primary_that_takes_writes_without_its_replicas_is_told() {
    let test = "a_primary_that_takes_writes";
    let Some(primary) = Server::start(test, &["repl-diskless-sync-delay 0"]) else {
        return;
    };
    let line = format!("replicaof 127.0.0.1 {}", primary.port());
    let replica = Server::start(test, &[&line]).expect("a server");
    until(&replica, || {
        let info = replica.tell(&["INFO", "replication"]);
        info.contains("master_link_status:up")
    });
    let found = findings(&primary).await;
    assert_eq!(dangers(&found), [Danger::Replicas]);
    assert_eq!(
        found[0].found(),
        "min-replicas-to-write is 0, with 1 connected"
    );
    assert!(
        found[0]
            .mend()
            .contains("CONFIG SET min-replicas-to-write 1"),
        "{found:?}"
    );
    set(&primary, "min-replicas-to-write", "1");
    // It counts those that have spoken in the last seconds, and looks once a second.
    until(&primary, || {
        let info = primary.tell(&["INFO", "replication"]);
        info.contains("min_slaves_good_slaves:1")
    });
    assert_eq!(findings(&primary).await, []);
}

#[tokio::test]
async fn a_service_that_forbids_to_look_is_told_and_the_rest_is_looked_at() {
    let test = "a_service_that_forbids_to_look";
    let settings = [
        "maxmemory 200000000",
        "maxmemory-policy allkeys-lru",
        "appendonly no",
        "user noinfo on >pw ~* &* +@all -info",
        "user noconfig on >pw ~* &* +@all -config",
        "user neither on >pw ~* &* +@all -info -config -time",
    ];
    let Some(server) = Server::start(test, &settings) else {
        return;
    };
    let of = async |user: &str| {
        let options = options(&server).login(user, "pw").expect("a login");
        options.check().await.expect("connected")
    };
    let both = [Danger::Eviction, Danger::AppendOnly];
    let found = of("noinfo").await;
    assert_eq!(dangers(&found), [&[Danger::NotLooked], &both[..]].concat());
    assert_eq!(found[0].found(), "INFO is refused (NOPERM)");
    assert!(
        found[0].mend().starts_with("ACL SETUSER noinfo +info"),
        "{found:?}"
    );
    let found = of("noconfig").await;
    assert_eq!(dangers(&found), [&[Danger::NotLooked], &both[..]].concat());
    assert_eq!(found[0].found(), "CONFIG GET is refused (NOPERM)");
    assert!(found[0].mend().contains("+config|get"), "{found:?}");
    let found = of("neither").await;
    assert_eq!(
        dangers(&found),
        [Danger::Right, Danger::NotLooked, Danger::NotLooked]
    );
    assert_eq!(found[0].mend(), "ACL SETUSER neither +time");

    // As managed services have it: no right, and no command either.
    let managed = ["rename-command CONFIG \"\"", "rename-command INFO \"\""];
    let managed = Server::start(test, &managed).expect("a server");
    let found = findings(&managed).await;
    assert_eq!(dangers(&found), [Danger::NotLooked; 2]);
    assert_eq!(found[0].found(), "INFO is refused (ERR)");
    assert!(
        found[0]
            .mend()
            .contains("A managed service may not have it"),
        "{found:?}"
    );
}

#[test]
fn the_store_tells_what_was_found_and_nobody_waits_for_it() {
    let test = "the_store_tells_what_was_found";
    let settings = ["maxmemory 200000000", "maxmemory-policy allkeys-lru"];
    let Some(mut server) = Server::start(test, &settings) else {
        return;
    };
    // The listener takes as long as the test does.
    let (tell, told) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let listener: Arc<Listener> = Arc::new(move |notice| {
        tell.send(notice.to_owned()).expect("the test waits");
        let _ = released.lock().expect("one at a time").recv();
    });
    let options = options(&server).connect_within(Duration::from_secs(1));
    let store = RedisStore::with(options).expect("options");
    let key = support::key("alice");
    // Nobody wants to know yet.
    GrantStore::load(&store, &key).expect("it is there");
    assert_eq!((server.calls("info"), server.calls("config|get")), (0, 0));
    GrantStore::notices(&store)
        .expect("it tells")
        .listen(&listener);
    server.kill();
    GrantStore::load(&store, &key).expect_err("it is away");
    assert!(told.try_recv().is_err(), "nothing was looked at");
    server.restart();
    assert!(
        GrantStore::load(&store, &key)
            .expect("it is back")
            .is_none()
    );
    let notice = told.recv_timeout(GUARD).expect("a finding");
    let danger = "Redis, eviction: maxmemory-policy is allkeys-lru, with maxmemory 200000000: when memory is full, Redis removes logins";
    assert!(notice.starts_with(danger), "{notice}");
    assert!(
        notice.contains("CONFIG SET maxmemory-policy noeviction"),
        "{notice}"
    );
    // It has not come back yet.
    support::login(&store, &key, 1);
    assert_eq!(support::access(&store, &key).as_deref(), Some("access-1"));
    let found = store.check_blocking().expect("checked");
    assert_eq!(dangers(&found), [Danger::Eviction]);
    drop(release);
    // Once, and not after each connection.
    server.restart();
    support::access(&store, &key);
    assert_eq!(
        dangers(&store.check_blocking().expect("checked")),
        [Danger::Eviction]
    );
    let again = told.recv_timeout(Duration::from_millis(500));
    assert!(again.is_err(), "told twice: {again:?}");
    assert_eq!(
        server.calls("config|get"),
        2,
        "those of the one that was asked for"
    );
    server.kill();
    let error = store.check_blocking().expect_err("it is away");
    assert!(
        error.to_string().contains("no connection to Redis"),
        "{error}"
    );
}

#[test]
fn a_server_that_could_not_be_looked_at_is_told_and_looked_at_by_and_by() {
    let test = "a_server_that_could_not_be_looked_at";
    let Some(mut server) = Server::start(test, &["appendonly no"]) else {
        return;
    };
    let (tell, told) = mpsc::channel();
    let listener: Arc<Listener> =
        Arc::new(move |notice| tell.send(notice.to_owned()).expect("the test waits"));
    let options = options(&server).connect_within(Duration::from_secs(5));
    let store = RedisStore::with(options).expect("options");
    let key = support::key("alice");
    GrantStore::load(&store, &key).expect("it is there");
    // It has the one connection that may be.
    set(&server, "maxclients", "1");
    GrantStore::notices(&store)
        .expect("it tells")
        .listen(&listener);
    GrantStore::load(&store, &key).expect("it is there");
    let notice = told.recv_timeout(GUARD).expect("a finding");
    let danger = "Redis, not-looked: the server could not be looked at (";
    assert!(notice.starts_with(danger), "{notice}");
    assert!(notice.contains("does not let us in"), "{notice}");
    server.restart();
    support::access(&store, &key);
    let notice = told.recv_timeout(GUARD).expect("a finding");
    assert!(notice.starts_with("Redis, append-only: "), "{notice}");
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_told() {
    let Some(server) = Server::start_with_clock("a_clock_that_is_an_hour_off", &[]) else {
        return;
    };
    assert_eq!(findings(&server).await, []);
    for (seconds, which) in [(3600, "ahead of"), (-3600, "behind")] {
        server.move_clock(seconds);
        let found = findings(&server).await;
        assert_eq!(dangers(&found), [Danger::Clock]);
        // A second may pass in between.
        let is_told = (3598..=3600).any(|seconds| {
            found[0].found() == format!("the server's clock is {seconds} s {which} this machine's")
        });
        assert!(is_told, "{found:?}");
    }
    server.move_clock(0);
    assert_eq!(findings(&server).await, []);
}
