//! The rows. Each asserts what matters, and gives what the callers saw.

use std::fs;
use std::thread::{self, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coze_auth_redis::RedisOptions;

use crate::redis::{DURABLE, Redis};
use crate::scene::{LEASE, LIMIT, PATIENCE, Process, Said, Scene};

/// What the callers saw: with a valid token; without one, while a good one is stored; when it has ended; afterwards.
type Row = [String; 4];

/// What the trouble is, and who makes it.
type Trouble = (&'static str, fn() -> Row);

/// A row that cannot be made here.
pub(crate) const NOT_HERE: Row = [const { String::new() }; 4];

pub(crate) const ALL: &[Trouble] = &[
    ("Redis is away when a process starts", away_at_start),
    ("Redis is away in the middle", away_in_the_middle),
    (
        "Redis goes away between the endpoint's answer and the save",
        away_before_the_save,
    ),
    ("Redis takes five seconds for an answer", slow),
    ("Redis is full (OOM)", full),
    (
        "Redis gets full between the lease and the save",
        full_before_the_save,
    ),
    ("a background save has failed (MISCONF)", misconf),
    (
        "a background save fails between the lease and the save",
        misconf_before_the_save,
    ),
    ("Redis evicts the key", evicted),
    ("replicas are missing (NOREPLICAS)", no_replicas),
    (
        "Sentinel promotes a replica, and the old primary wakes",
        failover,
    ),
    ("a right is taken away", right_taken_away),
    (
        "a right is taken away between the lease and the save",
        right_taken_away_before_the_save,
    ),
    ("Redis is restored from an older copy", restored),
    ("Redis starts empty", started_empty),
    ("the clock of Redis leaps an hour forward", clock_forward),
    (
        "the clock of Redis leaps an hour forward while a process renews",
        clock_forward_in_a_renewal,
    ),
    (
        "the clock of Redis leaps an hour back, and a process has died with the lease",
        clock_back,
    ),
    (
        "a process dies with the lease, before the endpoint has acted",
        died_before,
    ),
    (
        "a process dies with the lease, after the endpoint has acted",
        died_after,
    ),
    (
        "another version of this crate wrote a value that this one does not know",
        later_value,
    ),
    (
        "another version of this crate wrote a field that this one does not know",
        later_field,
    ),
];

const NONE: &str = "—";
/// Less than what Redis has to answer in.
const AT_ONCE: Duration = Duration::from_millis(300);
const SERVED: &str = "it is served, at once";

fn durable() -> Redis {
    Redis::start_durable(&[])
}

/// A valid token is served without Redis.
fn assert_served(said: &Said, when: &str) {
    said.assert_token(when);
    assert!(said.took < AT_ONCE, "{when}: {:?}", said.took);
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never is: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// The texts that are expected of a state that begins and ends.
struct Expected {
    newcomer: &'static str,
    ended: &'static str,
}

/// Something begins, lasts, and ends. Nothing may be sent to the token endpoint meanwhile, and one refresh afterwards.
fn state(
    mut redis: Redis,
    scene: &Scene,
    begin: impl FnOnce(&mut Redis),
    expected: &Expected,
    end: impl FnOnce(&mut Redis),
) -> Row {
    let warm = scene.log_in();
    begin(&mut redis);
    assert_served(&warm.token(), "with a valid token");
    let newcomer = scene.process().token();
    match expected.newcomer {
        "" => newcomer.assert_token("a newcomer"),
        what => newcomer.assert_error(what, "a newcomer"),
    }
    scene.life_passes();
    let ended = warm.token();
    ended.assert_error(expected.ended, "when it has ended");
    assert!(
        !ended
            .result
            .as_ref()
            .is_err_and(|error| error.needs_login()),
        "nobody has to log in"
    );
    scene.assert_refreshes(0, 0, "while it lasts");
    end(&mut redis);
    let after = renewed_by(scene, &warm);
    scene.assert_refreshes(1, 0, "afterwards");
    [
        SERVED.to_owned(),
        newcomer.text(),
        ended.text(),
        format!("{after}; one refresh"),
    ]
}

/// The next call after the pause, and what a newcomer has then: the same.
fn renewed_by(scene: &Scene, process: &Process) -> String {
    scene.pause_passes();
    let after = process.token();
    after.assert_token("afterwards");
    let newcomer = scene.process().token();
    newcomer.assert_token("a newcomer, afterwards");
    let [one, other] = [after, newcomer].map(|said| said.result.expect("a token"));
    assert!(one.matches(&other), "one token for both");
    "a token at the next call".to_owned()
}

fn away_at_start() -> Row {
    let mut redis = durable();
    let scene = Scene::new(&redis);
    drop(scene.log_in());
    redis.kill();
    let started = scene.process();
    let said = started.token();
    said.assert_error("no connection to Redis", "at the start");
    redis.restart();
    let after = renewed_by(&scene, &started);
    scene.assert_refreshes(0, 0, "the stored token was good");
    [NONE.to_owned(), said.text(), NONE.to_owned(), after]
}

fn away_in_the_middle() -> Row {
    let redis = durable();
    let scene = Scene::new(&redis);
    let expected = Expected {
        newcomer: "no connection to Redis",
        ended: "no connection to Redis",
    };
    state(redis, &scene, Redis::kill, &expected, Redis::restart)
}

fn slow() -> Row {
    let redis = durable();
    let scene = Scene::new(&redis);
    let expected = Expected {
        newcomer: "no connection to Redis",
        ended: "Redis has not answered",
    };
    let began = std::cell::Cell::new(Instant::now());
    let stop = |redis: &mut Redis| {
        began.set(Instant::now());
        redis.signal("STOP");
    };
    state(redis, &scene, stop, &expected, |redis| {
        sleep(Duration::from_secs(5).saturating_sub(began.get().elapsed()));
        redis.signal("CONT");
    })
}

fn set(redis: &Redis, name: &str, value: &str) {
    assert_eq!(redis.tell(&["CONFIG", "SET", name, value]), "OK");
}

fn full() -> Row {
    let redis = durable();
    let scene = Scene::new(&redis);
    let expected = Expected {
        newcomer: "",
        ended: "Redis is full",
    };
    let fill = |redis: &mut Redis| set(redis, "maxmemory", "1");
    state(redis, &scene, fill, &expected, |redis| {
        set(redis, "maxmemory", "0");
    })
}

fn snapshots() -> Redis {
    Redis::start_durable(&["save 3600 1"])
}

/// A folder in the place of the snapshot: not even root can write it.
fn fail_saves(redis: &Redis) {
    fs::create_dir(redis.folder().join("dump.rdb")).expect("a folder");
    redis.tell(&["BGSAVE"]);
    until("a failed save", || {
        redis
            .tell(&["INFO", "persistence"])
            .contains("rdb_last_bgsave_status:err")
    });
}

fn mend_saves(redis: &Redis) {
    fs::remove_dir(redis.folder().join("dump.rdb")).expect("the folder");
    redis.tell(&["BGSAVE"]);
    until("a save", || {
        redis
            .tell(&["INFO", "persistence"])
            .contains("rdb_last_bgsave_status:ok")
    });
}

fn misconf() -> Row {
    let redis = snapshots();
    let scene = Scene::new(&redis);
    let expected = Expected {
        newcomer: "",
        ended: "MISCONF",
    };
    let fail = |redis: &mut Redis| fail_saves(redis);
    state(redis, &scene, fail, &expected, |redis| mend_saves(redis))
}

fn no_replicas() -> Row {
    let redis = durable();
    let scene = Scene::new(&redis);
    let expected = Expected {
        newcomer: "",
        ended: "NOREPLICAS",
    };
    let want = |redis: &mut Redis| set(redis, "min-replicas-to-write", "1");
    state(redis, &scene, want, &expected, |redis| {
        set(redis, "min-replicas-to-write", "0");
    })
}

/// A server whose user may do all, and a scene with that user.
fn with_user() -> (Redis, Scene) {
    let user = "user coze on >secret ~coze:* &coze:* +@all";
    let redis = Redis::start_durable(&[user]);
    let options = RedisOptions::from_url(&redis.url()).expect("a URL");
    let scene = Scene::with(options.login("coze", "secret").expect("a login"));
    (redis, scene)
}

fn change_right(redis: &Redis, right: &str) {
    assert_eq!(redis.tell(&["ACL", "SETUSER", "coze", right]), "OK");
}

fn right_taken_away() -> Row {
    let (redis, scene) = with_user();
    let expected = Expected {
        newcomer: "",
        ended: "lacks a right",
    };
    let take = |redis: &mut Redis| change_right(redis, "-hset");
    state(redis, &scene, take, &expected, |redis| {
        change_right(redis, "+hset");
    })
}

fn right_taken_away_before_the_save() -> Row {
    let (redis, scene) = with_user();
    let take = |redis: &mut Redis| change_right(redis, "-hset");
    before_the_save(redis, &scene, false, take, |redis| {
        change_right(redis, "+hset");
    })
}

/// Something begins between the endpoint's answer and the save, and lasts for a while: it is stored all the same, or kept.
fn before_the_save(
    mut redis: Redis,
    scene: &Scene,
    is_stored: bool,
    begin: impl FnOnce(&mut Redis),
    end: impl FnOnce(&mut Redis),
) -> Row {
    let warm = scene.log_in();
    let before = redis.tell(&["HGET", &scene.redis_key(), "v"]);
    scene.life_passes();
    let gate = scene.hold_the_answer();
    let renewal = thread::spawn({
        let warm = warm.clone();
        move || warm.token()
    });
    assert!(gate.arrived_blocking(1, PATIENCE), "no request came");
    begin(&mut redis);
    gate.open();
    let renewal = renewal.join().expect("a call");
    let served = warm.token();
    assert_served(&served, "its token is good, stored or not");
    end(&mut redis);
    let field = |name| redis.tell(&["HGET", &scene.redis_key(), name]);
    if is_stored {
        assert_ne!(field("v"), before, "before the next try");
    }
    // By the store itself: nobody asks for a token.
    until("it is stored", || {
        sleep(Duration::from_millis(100));
        field("v") != before
    });
    warm.token().assert_token("it is served");
    let after = renewed_by(scene, &warm);
    scene.assert_refreshes(1, 0, "nothing was lost, and nothing spent twice");
    renewal.assert_token("it has been given one");
    let ended = match is_stored {
        true => "a token, and it is stored",
        false => "a token, which the process keeps",
    };
    let after = match is_stored {
        true => after,
        false => "the process stores it by itself, without a call".to_owned(),
    };
    [
        SERVED.to_owned(),
        NONE.to_owned(),
        ended.to_owned(),
        format!("{after}; no other refresh"),
    ]
}

fn away_before_the_save() -> Row {
    let redis = durable();
    let scene = Scene::new(&redis);
    before_the_save(redis, &scene, false, Redis::kill, Redis::restart)
}

fn full_before_the_save() -> Row {
    let redis = durable();
    let scene = Scene::new(&redis);
    let fill = |redis: &mut Redis| set(redis, "maxmemory", "1");
    before_the_save(redis, &scene, true, fill, |redis| {
        set(redis, "maxmemory", "0");
    })
}

fn misconf_before_the_save() -> Row {
    let redis = snapshots();
    let scene = Scene::new(&redis);
    let fail = |redis: &mut Redis| fail_saves(redis);
    before_the_save(redis, &scene, false, fail, |redis| mend_saves(redis))
}

/// Redis has an older grant, or none: with a process that has seen a later one, and without.
fn went_back(go_back: impl Fn(&mut Redis, &Scene, &Process)) -> Row {
    let mut redis = durable();
    let scene = Scene::new(&redis);
    let warm = scene.log_in();
    go_back(&mut redis, &scene, &warm);
    let (granted, _) = scene.refreshes();
    assert_served(&warm.token(), "with a valid token");
    scene.life_passes();
    let ended = warm.token();
    ended.assert_token("it has seen the later one");
    scene.assert_refreshes(granted + 1, 0, "it writes back what it has seen");
    let newcomer = scene.process().token();
    newcomer.assert_token("it is stored again");
    // The same, and nobody is left who has seen it.
    let mut redis = durable();
    let scene = Scene::new(&redis);
    let warm = scene.log_in();
    go_back(&mut redis, &scene, &warm);
    drop(warm);
    scene.life_passes();
    let nobody = scene.process().token();
    let error = nobody.result.as_ref().expect_err("it is lost");
    assert!(error.needs_login(), "{error}");
    [
        SERVED.to_owned(),
        NONE.to_owned(),
        "a token: the process writes back what it has seen".to_owned(),
        format!(
            "where no process is left that has seen it: {}",
            nobody.text()
        ),
    ]
}

fn started_empty() -> Row {
    went_back(|redis, _, _| {
        redis.kill();
        let files = redis.folder().join("appendonlydir");
        fs::remove_dir_all(files).expect("its files");
        redis.restart();
    })
}

fn restored() -> Row {
    went_back(|redis, scene, process| {
        let [files, copy] = ["appendonlydir", "copy"].map(|name| redis.folder().join(name));
        redis.kill();
        copy_files(&files, &copy);
        redis.restart();
        scene.life_passes();
        process.token().assert_token("a renewal");
        redis.kill();
        fs::remove_dir_all(&files).expect("its files");
        copy_files(&copy, &files);
        redis.restart();
    })
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).expect("a folder");
    for file in fs::read_dir(from).expect("its files") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
    }
}

fn evicted() -> Row {
    went_back(|redis, scene, _| {
        let used = |name: &str| {
            let info = redis.tell(&["INFO", "memory"]);
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            line.expect("a line").parse::<u64>().expect("a number")
        };
        let room = used("used_memory:") + 500_000;
        set(redis, "maxmemory-policy", "allkeys-random");
        set(redis, "maxmemory", &room.to_string());
        let key = scene.redis_key();
        let value = "x".repeat(50_000);
        for number in 0..100_000 {
            if redis.tell(&["EXISTS", &key]) == "0" {
                break;
            }
            redis.tell(&["SET", &format!("of somebody {number}"), &value]);
        }
        assert_eq!(redis.tell(&["EXISTS", &key]), "0");
        redis.tell(&["FLUSHALL"]);
        set(redis, "maxmemory", "0");
    })
}

/// The error of one who knows of the mark, without the time that is in it.
fn since_when(said: &Said) -> String {
    let text = said.text();
    let (before, rest) = text.split_once(" at ").expect("since when");
    let (_, rest) = rest.split_once(' ').expect("a time");
    format!("{before} at … {rest}")
}

const HOUR: i64 = 3_600;

/// Its clock is so far from ours.
fn leap(redis: &Redis, seconds: i64) {
    redis.move_clock(seconds);
    let unix = || {
        let ours = SystemTime::now().duration_since(UNIX_EPOCH);
        ours.expect("after 1970").as_secs().cast_signed()
    };
    // A server reads its clock once a round.
    until("it has leapt", || {
        let theirs: i64 = redis.ask(&["TIME"])[0].parse().expect("a number");
        (theirs - unix() - seconds).abs() < 20
    });
}

fn clock_forward() -> Row {
    let Some(redis) = Redis::start_with_clock(&DURABLE) else {
        return NOT_HERE;
    };
    let scene = Scene::new(&redis);
    let warm = scene.log_in();
    leap(&redis, HOUR);
    assert_served(&warm.token(), "with a valid token");
    let newcomer = scene.process().token();
    newcomer.assert_token("keys are kept for days, so an hour takes none");
    scene.life_passes();
    let ended = warm.token();
    ended.assert_token("when it has ended");
    let after = renewed_by(&scene, &warm);
    scene.assert_refreshes(1, 0, "one");
    [
        SERVED.to_owned(),
        newcomer.text(),
        ended.text(),
        format!("{after}; one refresh"),
    ]
}

fn clock_forward_in_a_renewal() -> Row {
    let Some(redis) = Redis::start_with_clock(&DURABLE) else {
        return NOT_HERE;
    };
    let scene = Scene::new(&redis);
    let warm = scene.log_in();
    let other = scene.process();
    other.token().assert_token("it is stored");
    scene.life_passes();
    let held = scene.hold_one_answer();
    let renewal = thread::spawn({
        let warm = warm.clone();
        move || warm.token()
    });
    until("a request", || held.fired() == 1);
    leap(&redis, HOUR);
    let second = other.token();
    let error = second.result.as_ref().expect_err("its token is spent");
    assert!(error.needs_login(), "{error}");
    scene.assert_refreshes(1, 1, "it is tried once");
    held.remove();
    let renewal = renewal.join().expect("a call");
    renewal.assert_token("it was first, and stores what it was given");
    let after = renewed_by(&scene, &other);
    scene.assert_refreshes(1, 1, "nobody has to log in");
    [
        NONE.to_owned(),
        NONE.to_owned(),
        format!("the first: a token; another: {}", since_when(&second)),
        format!("{after}, for both: the first has stored it, and nobody has to log in"),
    ]
}

fn clock_back() -> Row {
    let Some(redis) = Redis::start_with_clock(&DURABLE) else {
        return NOT_HERE;
    };
    let scene = Scene::new(&redis);
    let warm = scene.log_in();
    dead_holder(&redis, &scene);
    leap(&redis, -HOUR);
    assert_served(&warm.token(), "with a valid token");
    let newcomer = scene.process().token();
    newcomer.assert_token("what is stored is good");
    scene.life_passes();
    let ended = warm.token();
    ended.assert_token("the lease has an hour left by the server, and is over by our own clock");
    assert!(ended.took < LEASE + LIMIT, "{:?}", ended.took);
    assert!(
        ended.took > LEASE / 2,
        "it has waited for it: {:?}",
        ended.took
    );
    let after = renewed_by(&scene, &warm);
    scene.assert_refreshes(1, 0, "one");
    [
        SERVED.to_owned(),
        newcomer.text(),
        "a token, after a lease by its own clock (10 s at most)".to_owned(),
        format!("{after}; one refresh"),
    ]
}

fn dead_holder(redis: &Redis, scene: &Scene) {
    let time = redis.ask(&["TIME"]);
    let [secs, micros] = [0, 1].map(|at: usize| time[at].parse::<u128>().expect("a number"));
    let now = secs * 1_000 + micros / 1_000;
    let lease = LEASE.as_millis();
    let [until, length, since] = [now + lease, lease, now].map(|number| number.to_string());
    let key = scene.redis_key();
    redis.ask(&[
        "HSET", &key, "h", "dead", "u", &until, "l", &length, "s", &since, "f", &since,
    ]);
}

fn died_before() -> Row {
    let redis = durable();
    let scene = Scene::new(&redis);
    let warm = scene.log_in();
    dead_holder(&redis, &scene);
    assert_served(&warm.token(), "with a valid token");
    let newcomer = scene.process().token();
    newcomer.assert_token("what is stored is good");
    scene.life_passes();
    let ended = warm.token();
    ended.assert_token("when the lease has ended");
    assert!(ended.took < LEASE + LIMIT, "{:?}", ended.took);
    scene.assert_refreshes(1, 0, "one");
    [
        SERVED.to_owned(),
        newcomer.text(),
        "a token, when the lease has ended (10 s at most)".to_owned(),
        "one refresh".to_owned(),
    ]
}

fn died_after() -> Row {
    let redis = durable();
    let scene = Scene::new(&redis);
    let warm = scene.log_in();
    scene.life_passes();
    dead_holder(&redis, &scene);
    scene.spend();
    let ended = warm.token();
    let error = ended.result.as_ref().expect_err("its token is spent");
    assert!(error.needs_login(), "{error}");
    scene.assert_refreshes(1, 1, "it is tried once");
    scene.pause_passes();
    warm.token().assert_error("", "again");
    scene.assert_refreshes(1, 1, "and not again");
    drop(scene.log_in());
    scene.pause_passes();
    warm.token().assert_token("after a login");
    [
        SERVED.to_owned(),
        NONE.to_owned(),
        since_when(&ended),
        "a token after a login".to_owned(),
    ]
}

fn later_value() -> Row {
    let redis = durable();
    let scene = Scene::new(&redis);
    let warm = scene.log_in();
    redis.tell(&["HSET", &scene.redis_key(), "v", "sealed2:k1:of-a-later-one"]);
    assert_served(&warm.token(), "with a valid token");
    let newcomer = scene.process().token();
    newcomer.assert_error("a newer version", "a newcomer");
    scene.life_passes();
    let ended = warm.token();
    ended.assert_error("a newer version", "when it has ended");
    scene.assert_refreshes(0, 0, "nothing is guessed");
    let stored = redis.tell(&["HGET", &scene.redis_key(), "v"]);
    assert_eq!(stored, "sealed2:k1:of-a-later-one", "it is kept");
    [
        SERVED.to_owned(),
        newcomer.text(),
        ended.text(),
        "the value is kept".to_owned(),
    ]
}

fn later_field() -> Row {
    let redis = durable();
    let scene = Scene::new(&redis);
    let warm = scene.log_in();
    let key = scene.redis_key();
    redis.tell(&["HSET", &key, "later", "kept"]);
    assert_served(&warm.token(), "with a valid token");
    let newcomer = scene.process().token();
    newcomer.assert_token("a newcomer");
    scene.life_passes();
    let ended = warm.token();
    ended.assert_token("it is renewed");
    scene.assert_refreshes(1, 0, "one");
    assert_eq!(redis.tell(&["HGET", &key, "later"]), "kept");
    [
        SERVED.to_owned(),
        newcomer.text(),
        ended.text(),
        "the field is kept".to_owned(),
    ]
}

fn failover() -> Row {
    let fast = "repl-diskless-sync-delay 0";
    let primary = Redis::start_durable(&[fast]);
    let of = format!("replicaof 127.0.0.1 {}", primary.port());
    let replica = Redis::start_durable(&[fast, &of]);
    until("a replica", || {
        replica
            .tell(&["INFO", "replication"])
            .contains("master_link_status:up")
    });
    let watch = format!("sentinel monitor mymaster 127.0.0.1 {} 1", primary.port());
    let sentinel = Redis::start_program(
        "redis-sentinel",
        &[
            &watch,
            "sentinel down-after-milliseconds mymaster 1000",
            "sentinel failover-timeout mymaster 3000",
        ],
    );
    let of_sentinel = |line: &str| {
        let known = sentinel.ask(&["SENTINEL", "MASTER", "mymaster"]);
        known.iter().any(|known| known == line)
    };
    until("sentinel knows the replica", || {
        let known = sentinel.ask(&["SENTINEL", "REPLICAS", "mymaster"]);
        known.iter().any(|line| *line == replica.port().to_string())
    });
    let address = format!("127.0.0.1:{}", sentinel.port());
    let scene = Scene::with(RedisOptions::sentinel([address], "mymaster").expect("an address"));
    let warm = scene.log_in();
    until("the login is replicated", || {
        replica.tell(&["EXISTS", &scene.redis_key()]) == "1"
    });
    primary.signal("STOP");
    assert_served(&warm.token(), "with a valid token");
    let newcomer = scene.process().token();
    newcomer.assert_error("Redis", "a newcomer");
    scene.life_passes();
    let ended = warm.token();
    ended.assert_error("Redis", "when it has ended");
    until("another primary", || {
        of_sentinel(&replica.port().to_string())
    });
    let after = renewed_by(&scene, &warm);
    scene.assert_refreshes(1, 0, "on the new primary");
    // It wakes, and does what had timed out; then it is a replica.
    primary.signal("CONT");
    until("a replica of the new one", || {
        primary
            .tell(&["INFO", "replication"])
            .contains("role:slave")
    });
    scene.life_passes();
    renewed_by(&scene, &warm);
    scene.assert_refreshes(2, 0, "the old primary has changed nothing");
    [
        SERVED.to_owned(),
        // Which it is depends on how far Sentinel is.
        "no connection, or no answer, within its limits".to_owned(),
        "the same".to_owned(),
        format!(
            "{after} when another is primary; one refresh, and the old primary changes nothing"
        ),
    ]
}
