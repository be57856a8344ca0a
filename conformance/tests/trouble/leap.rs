//! The server's clock leaps by an hour. Debian's Redis does not start under libfaketime, Valkey does: `just leap`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use crate::redis::{DURABLE, Redis};
use crate::rows::{assert_served, dead_holder, until};
use crate::scene::{LEASE, LIMIT, Scene};

/// What `just leap` sets: the server, and libfaketime.
const SERVER: &str = "COZE_AUTH_LEAP_SERVER";
const FAKETIME: &str = "COZE_AUTH_LEAP_FAKETIME";

/// A server whose clock is read from a file.
struct Leaping {
    redis: Redis,
    file: std::path::PathBuf,
}

impl Leaping {
    fn start() -> Option<Self> {
        let [Some(server), Some(faketime)] = [SERVER, FAKETIME].map(std::env::var_os) else {
            eprintln!("skipped: a clock that leaps: `just leap` has Valkey and libfaketime");
            return None;
        };
        let [server, faketime] = [server, faketime].map(|path| path.into_string().expect("UTF-8"));
        let folder = std::env::temp_dir().join(format!("coze-auth-leap-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let [file, program] = ["offset", "server"].map(|name| folder.join(name));
        fs::write(&file, "+0\n").expect("a file");
        let script = format!(
            "#!/bin/sh\nexec env LD_PRELOAD={faketime} FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1 \
             FAKETIME_DONT_FAKE_MONOTONIC=1 {server} \"$@\"\n",
            file.display()
        );
        fs::write(&program, script).expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("a file of ours");
        let program: &'static str = program.to_str().expect("UTF-8").to_owned().leak();
        Some(Self {
            redis: Redis::start_program(program, &DURABLE),
            file,
        })
    }

    fn now(&self) -> i64 {
        self.redis.ask(&["TIME"])[0].parse().expect("a number")
    }

    fn leap(&self, offset: &str, by: i64) {
        let before = self.now();
        fs::write(&self.file, format!("{offset}\n")).expect("a file");
        // A server reads its clock once a round.
        until("it has leapt", || (self.now() - before - by).abs() < 20);
    }
}

#[test]
fn the_clock_of_the_server_leaps_by_an_hour() {
    let Some(server) = Leaping::start() else {
        return;
    };
    // Forward, and a lease that was taken an hour ahead is left over when it is set right.
    let scene = Scene::new(&server.redis);
    let warm = scene.log_in();
    server.leap("+3600s", 3_600);
    assert_served(&warm.token(), "with a valid token");
    scene.life_passes();
    warm.token().assert_token("an hour ahead");
    scene.assert_refreshes(1, 0, "one");
    dead_holder(&server.redis, &scene);
    server.leap("+0", -3_600);
    scene.life_passes();
    let began = Instant::now();
    warm.token()
        .assert_token("the lease has an hour left by the server, and is over by our own clock");
    let took = began.elapsed();
    assert!(took < LEASE + LIMIT, "{took:?}");
    assert!(took > LEASE / 2, "it has waited for it: {took:?}");
    scene.assert_refreshes(2, 0, "one more");
    // Keys have a time to live of days, so an hour takes none.
    scene
        .process()
        .token()
        .assert_token("what is stored is there");
    println!(
        "| the server's clock leaps an hour forward and back | it is served, at once | a token | a token, after a lease at most | one refresh each |"
    );
}
