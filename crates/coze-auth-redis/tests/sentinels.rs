//! The way to the primary by Debian's `redis-sentinel`.

mod certificates;
mod server;
mod support;

use std::slice;
use std::time::{Duration, Instant};

use coze_auth_redis::core::error::ErrorKind;
use coze_auth_redis::{ConnectError, RedisOptions};
use coze_auth_store::{GrantStore, Saved};

use certificates::{Folder, has_no_tls, tls_lines};
use server::{Server, free_port};

const WAIT: ErrorKind = ErrorKind::Wait(Duration::from_secs(1));
/// A guard: how long a failover may take on a busy machine.
const FAILOVER: Duration = Duration::from_secs(60);

/// A primary, its replica, and a sentinel that watches them as `logins`.
struct Trio {
    primary: Server,
    replica: Server,
    sentinel: Server,
}

fn trio(test: &str, of_sentinel: &[&str]) -> Option<Trio> {
    trio_at(test, "127.0.0.1", None, of_sentinel)
}

/// Ports at which primary, replica and sentinel speak TLS.
type TlsPorts = [u16; 3];

/// The three know each other by this host, and by TLS where that is given: with `server.pem` and `sentinel.pem` of the folder. Each has its
/// plain port besides, by which the test speaks with it.
fn trio_at(
    test: &str,
    host: &str,
    tls: Option<(&Folder, TlsPorts)>,
    of_sentinel: &[&str],
) -> Option<Trio> {
    let lines = |at: usize, name: &str, more: &[&str]| {
        let mut lines: Vec<String> = more.iter().map(|line| (*line).to_owned()).collect();
        if let Some((folder, ports)) = tls {
            lines.extend(tls_lines(folder, ports[at], name, "yes"));
            lines.push("tls-replication yes".to_owned());
        }
        lines
    };
    let start = |lines: Vec<String>, server: fn(&str, &[&str]) -> Option<Server>| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        server(test, &lines)
    };
    let port =
        |server: &Server, at: usize| tls.map_or_else(|| server.port(), |(_, ports)| ports[at]);
    // A replica is served at once and not after the five seconds of the default.
    let primary = start(
        lines(0, "server", &["repl-diskless-sync-delay 0"]),
        Server::start,
    )?;
    let place = format!("{host} {}", port(&primary, 0));
    let of = format!("replicaof {place}");
    let announced = format!("replica-announce-ip {host}");
    let replica = start(lines(1, "server", &[&of, &announced]), Server::start)?;
    let began = Instant::now();
    while !replica
        .tell(&["INFO", "replication"])
        .contains("master_link_status:up")
    {
        assert!(began.elapsed() < FAILOVER, "{}", replica.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let monitor = format!("sentinel monitor logins {place} 1");
    let settings = [
        &monitor,
        "sentinel down-after-milliseconds logins 500",
        "sentinel failover-timeout logins 3000",
    ];
    let settings = lines(2, "sentinel", &[of_sentinel, &settings].concat());
    let sentinel = start(settings, Server::start_sentinel)?;
    // It looks each half second and not each ten; where it has a password, nobody waits for it here.
    sentinel.ask(&["SENTINEL", "DEBUG", "info-period", "500"]);
    sentinel.ask(&["SENTINEL", "DEBUG", "publish-period", "500"]);
    Some(Trio {
        primary,
        replica,
        sentinel,
    })
}

fn options(sentinels: &[String], name: &str) -> RedisOptions {
    RedisOptions::sentinel(sentinels, name)
        .expect("sentinels")
        .connect_within(Duration::from_secs(20))
        .answer_within(Duration::from_secs(20))
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

#[tokio::test]
async fn sentinels_are_asked_in_turn_until_one_knows_the_primary() {
    let test = "sentinels_are_asked_in_turn";
    let Some(trio) = trio(test, &[]) else { return };
    let sentinel = at(trio.sentinel.port());
    let connected = |server: &Server| server.calls("hello");
    let (before, at_replica) = (connected(&trio.primary), connected(&trio.replica));
    options(slice::from_ref(&sentinel), "logins")
        .check()
        .await
        .expect("connected");
    assert!(connected(&trio.primary) > before);
    assert_eq!(
        connected(&trio.replica),
        at_replica,
        "nobody asks the replica"
    );

    // One that is away, one that hangs, one that is not a sentinel, one that does not know the name: the next is asked.
    let hanging = Server::start_sentinel(test, &[]).expect("a sentinel");
    hanging.stop();
    let empty = Server::start_sentinel(test, &[]).expect("a sentinel");
    let away = at(free_port());
    let list = [
        away.clone(),
        at(hanging.port()),
        at(trio.primary.port()),
        at(empty.port()),
        sentinel.clone(),
    ];
    let patient = options(&list, "logins").connect_within(Duration::from_secs(6));
    patient.check().await.expect("connected by the last one");

    let fails = async |list: &[String], name: &str, kind, why: &str| {
        let error = options(list, name).check().await.expect_err(why);
        assert!(error.to_string().contains(why), "{error:?}");
        assert_eq!(error.kind(), kind, "{error:?}");
        error
    };
    let unknown = "do not know a primary named other";
    fails(slice::from_ref(&sentinel), "other", WAIT, unknown).await;
    // It has just started and watches nothing yet, while the other is away: that passes.
    let unknown = "do not know a primary named logins";
    fails(&[at(empty.port()), away.clone()], "logins", WAIT, unknown).await;
    let none = fails(
        &[away.clone(), away],
        "logins",
        WAIT,
        "none of the sentinels answered: no connection to Redis at",
    )
    .await;
    assert!(format!("{none:?}").contains("Caused by:"), "{none:?}");
    let server = [at(trio.primary.port())];
    fails(&server, "logins", ErrorKind::Settings, "is not a sentinel").await;
    let url = format!("redis://{sentinel}");
    let error = RedisOptions::from_url(&url)
        .expect("a URL")
        .check()
        .await
        .expect_err("a sentinel");
    assert!(matches!(error, ConnectError::Sentinel { .. }), "{error:?}");
}

#[tokio::test]
async fn the_password_of_the_sentinels_is_their_own() {
    let test = "the_password_of_the_sentinels";
    let Some(trio) = trio(test, &["requirepass of-the-sentinels"]) else {
        return;
    };
    trio.primary
        .tell(&["CONFIG", "SET", "requirepass", "of-the-server"]);
    let without = options(&[at(trio.sentinel.port())], "logins")
        .login("", "of-the-server")
        .expect("a login");
    let error = without
        .check()
        .await
        .expect_err("no password for the sentinel");
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(format!("{error:?}").contains("(NOAUTH)"), "{error:?}");
    let with = without
        .sentinel_login("", "of-the-sentinels")
        .expect("a login");
    with.check().await.expect("two passwords");
    let wrong = with.sentinel_login("", "of-the-server").expect("a login");
    let error = wrong.check().await.expect_err("the server's password");
    assert!(format!("{error:?}").contains("(WRONGPASS)"), "{error:?}");
}

#[tokio::test]
async fn a_right_that_a_user_of_the_sentinels_lacks_is_told() {
    let test = "a_right_that_a_user_of_the_sentinels_lacks";
    let users = [
        "user none on >s3cret -@all",
        "user least on >s3cret -@all +sentinel|get-master-addr-by-name",
    ];
    let Some(trio) = trio(test, &users) else {
        return;
    };
    let login = |user| {
        let options = options(&[at(trio.sentinel.port())], "logins");
        options.sentinel_login(user, "s3cret").expect("a login")
    };
    let error = login("none").check().await.expect_err("it has no right");
    assert_eq!(error.kind(), ErrorKind::Settings);
    let told = error.to_string();
    let right = "at a sentinel +sentinel|get-master-addr-by-name";
    assert!(told.contains(right), "{told}");
    login("least")
        .check()
        .await
        .expect("nothing else is needed");
}

#[tokio::test]
async fn the_primary_is_asked_for_anew_and_an_old_one_that_wakes_is_not_taken() {
    let test = "the_primary_is_asked_for_anew";
    let Some(trio) = trio(test, &[]) else { return };
    let options = options(&[at(trio.sentinel.port())], "logins")
        .connect_within(Duration::from_millis(600))
        .answer_within(Duration::from_millis(600));
    options.check().await.expect("the first one");
    trio.primary.stop();
    let began = Instant::now();
    let mut errors = Vec::new();
    loop {
        match options.check().await {
            Ok(_) => break,
            // Until the sentinel has promoted the other, each try is told as one that passes.
            Err(error) => {
                assert_eq!(error.kind(), WAIT, "{error:?}");
                errors.push(error.to_string());
            }
        }
        assert!(began.elapsed() < FAILOVER, "{}", trio.sentinel.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!errors.is_empty(), "the frozen one was waited for");
    assert!(
        trio.replica
            .tell(&["INFO", "replication"])
            .contains("role:master")
    );
    // The old one calls itself master for a while, and nobody is led to it.
    trio.primary.go_on();
    let old = trio.primary.calls("hello");
    assert!(
        trio.primary
            .tell(&["INFO", "replication"])
            .contains("role:")
    );
    for _ in 0..20 {
        options.check().await.expect("the new one");
    }
    assert_eq!(trio.primary.calls("hello"), old);
}

#[test]
fn a_login_is_renewed_across_a_failover_and_an_old_primary_that_wakes_takes_nothing_back() {
    let test = "a_login_is_renewed_across_a_failover";
    let Some(trio) = trio(test, &[]) else { return };
    renewed_across_a_failover(&trio, &options(&[at(trio.sentinel.port())], "logins"));
}

fn renewed_across_a_failover(trio: &Trio, options: &RedisOptions) {
    let options = || {
        options
            .clone()
            .connect_within(Duration::from_millis(600))
            .answer_within(Duration::from_millis(600))
    };
    // Two processes, both connected to the first primary.
    let (one, other, key) = (
        support::with(options()),
        support::with(options()),
        support::key("alice"),
    );
    support::login(&one, &key, 1);
    assert_eq!(support::access(&other, &key).as_deref(), Some("access-1"));
    let at_replica = || trio.replica.tell(&["HGET", &one.key(&key), "v"]);
    support::until(|| at_replica().contains("access-1"));
    trio.primary.stop();
    let began = Instant::now();
    let mut failures = Vec::new();
    // What is asked for in the meantime lies in the socket of the one that is frozen, which does it when it wakes.
    loop {
        let renewed = GrantStore::lock(&one, &key, FAILOVER).and_then(|mut held| {
            held.load()?;
            held.prepare()?;
            held.save(&support::grant(2))
        });
        match renewed {
            Ok(saved) => break assert_eq!(saved, Saved::Stored),
            Err(error) => failures.push(error),
        }
        assert!(began.elapsed() < FAILOVER, "{failures:?}");
    }
    assert!(!failures.is_empty(), "the frozen one has answered");
    for error in &failures {
        assert!(matches!(error.kind(), ErrorKind::Wait(_)), "{error:?}");
    }
    assert!(at_replica().contains("access-2"));
    // The sentinel makes a replica of the old one, which calls itself primary until then.
    trio.primary.go_on();
    let began = Instant::now();
    while !trio
        .primary
        .tell(&["INFO", "replication"])
        .contains("role:slave")
    {
        assert!(began.elapsed() < FAILOVER, "{}", trio.sentinel.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    // The other process was connected to it all the time.
    assert_eq!(support::access(&other, &key).as_deref(), Some("access-2"));
    support::login(&other, &key, 3);
    assert_eq!(support::access(&one, &key).as_deref(), Some("access-3"));
    support::until(|| {
        trio.primary
            .tell(&["HGET", &one.key(&key), "v"])
            .contains("access-3")
    });
}

/// Names stand in certificates more often than addresses.
const NAMES: [&str; 2] = [
    "sentinel resolve-hostnames yes",
    "sentinel announce-hostnames yes",
];

#[test]
fn tls_leads_to_the_sentinels_and_to_whom_they_name_before_and_after_a_failover() {
    let test = "tls_leads_to_the_sentinels";
    if has_no_tls(test) {
        return;
    }
    let folder = Folder::new(test);
    let authority = folder.authority("ca");
    for name in ["server", "sentinel"] {
        folder.certificate(&authority, name, "localhost");
    }
    let (certificate, key) = folder.certificate(&authority, "client", "coze");
    let ports = [(); 3].map(|()| free_port());
    let Some(trio) = trio_at(test, "localhost", Some((&folder, ports)), &NAMES) else {
        return;
    };
    // All three ask for our certificate.
    let options = options(&[format!("localhost:{}", ports[2])], "logins")
        .ca_file(folder.path("ca.pem"))
        .client_certificate(certificate, key);
    renewed_across_a_failover(&trio, &options);
}

#[tokio::test]
async fn a_wrong_certificate_is_told_with_whose_it_is() {
    let test = "a_wrong_certificate_is_told";
    if has_no_tls(test) {
        return;
    }
    let folder = Folder::new(test);
    let authority = folder.authority("ca");
    let other = folder.authority("other");
    folder.certificate(&authority, "server", "redis.internal");
    folder.certificate(&authority, "sentinel", "127.0.0.1");
    let (certificate, key) = folder.certificate(&authority, "client", "coze");
    let (of_other, key_of_other) = folder.certificate(&other, "stranger", "coze");
    let ports = [(); 3].map(|()| free_port());
    let Some(trio) = trio_at(test, "127.0.0.1", Some((&folder, ports)), &[]) else {
        return;
    };
    let [server, _, sentinel] = ports.map(at);
    let bare = options(slice::from_ref(&sentinel), "logins").connect_within(Duration::from_secs(4));
    let tls = bare.clone().ca_file(folder.path("ca.pem"));
    let ours = tls.clone().client_certificate(certificate, key);
    let fails = async |options: &RedisOptions, to: &str, kind, why: &str| {
        let error = options.check().await.expect_err(why);
        let told = error.to_string();
        assert!(told.contains(why) && told.contains(to), "{why}: {error:?}");
        assert_eq!(error.kind(), kind, "{error:?}");
        told
    };
    let settings = ErrorKind::Settings;
    // The sentinel is right, and whom it names is not.
    let name = "its certificate is for other names than this one";
    let told = fails(&ours, &server, settings, name).await;
    assert!(told.contains("announce-hostnames"), "{told}");
    assert!(!told.contains(&sentinel), "{told}");
    // The sentinel's.
    let none = "none of the sentinels answered";
    for (options, why) in [
        (
            ours.clone().ca_file(folder.path("other.pem")),
            "its certificate is signed by a CA that is not trusted here",
        ),
        (tls.clone(), "it asks for a certificate of ours"),
        (
            tls.client_certificate(of_other, key_of_other),
            "it refuses our certificate",
        ),
    ] {
        let told = fails(&options, &sentinel, settings, why).await;
        assert!(told.starts_with(none), "{told}");
    }
    let by_name = RedisOptions::sentinel([format!("localhost:{}", ports[2])], "logins")
        .expect("an address")
        .ca_file(folder.path("ca.pem"));
    fails(&by_name, &format!("localhost:{}", ports[2]), settings, name).await;
    // Nobody's but ours.
    let missing = ours.ca_file(folder.path("missing.pem"));
    let told = fails(&missing, "missing.pem", settings, "cannot be read").await;
    assert!(told.starts_with("CA file: "), "{told}");
    // TLS where there is none, and the other way round.
    fails(&bare, &sentinel, WAIT, "it speaks TLS at this port").await;
    let plain = at(trio.sentinel.port());
    let to_plain = options(slice::from_ref(&plain), "logins")
        .connect_within(Duration::from_secs(4))
        .ca_file(folder.path("ca.pem"));
    let error = to_plain.check().await.expect_err("it speaks no TLS there");
    let told = error.to_string();
    assert!(told.contains("does not speak TLS at this port"), "{told}");
    assert!(told.contains(&plain), "{told}");
}
