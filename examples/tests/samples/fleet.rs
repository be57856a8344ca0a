//! `fleet_service`, started three times behind one Redis.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coze_auth_mock::CozeAuthMock;

use crate::support::{Folder, sample_of};

/// How long anything may take; a guard only.
const PATIENCE: Duration = Duration::from_secs(60);

/// It ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As the sample's first lines start it, on a free port. None where it is not installed.
fn redis(folder: &Folder) -> Option<(Running, String)> {
    // A port is free when it is looked for, and may be somebody else's when the server asks for it: then it ends.
    for _ in 0..20 {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port().to_string();
        drop(free);
        let started = Command::new("redis-server")
            .args(["--port", &port, "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always"])
            .current_dir(&folder.0)
            .stdout(Stdio::null())
            .spawn();
        let Ok(started) = started else {
            let why = "redis-server is not installed (apt-get install redis-server)";
            assert!(std::env::var_os("CI").is_none(), "{why}");
            let _ = writeln!(std::io::stderr(), "skipped: a fleet of the sample: {why}");
            return None;
        };
        let mut started = Running(started);
        let begun = Instant::now();
        while started.0.try_wait().expect("a child").is_none() {
            if answers(&port) {
                return Some((started, format!("redis://127.0.0.1:{port}/")));
            }
            assert!(begun.elapsed() < PATIENCE, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    panic!("no redis-server after twenty ports");
}

/// Whether a Redis does, and not somebody else who has the port.
fn answers(port: &str) -> bool {
    let Ok(mut socket) = TcpStream::connect(format!("127.0.0.1:{port}")) else {
        return false;
    };
    let mut answer = [0; 5];
    let _ = socket.set_read_timeout(Some(Duration::from_secs(1)));
    socket.write_all(b"PING\r\n").is_ok()
        && socket.read_exact(&mut answer).is_ok()
        && answer == *b"+PONG"
}

#[test]
fn a_service_that_runs_three_times_has_one_login_and_signs_once() {
    let folder = Folder::new("fleet");
    let Some((_redis, redis)) = redis(&folder) else {
        return;
    };
    let quick = CozeAuthMock::builder().toml("[ttl]\ndevice_interval = 1");
    let mock = quick.expect("a second").start_blocking().expect("a mock");
    let variables = [
        "COZE_DEVICE_OAUTH_CLIENT_ID",
        "COZE_JWT_OAUTH_CLIENT_ID",
        "COZE_JWT_OAUTH_PUBLIC_KEY_ID",
        "COZE_JWT_OAUTH_PRIVATE_KEY",
    ];
    let services: Vec<(Running, String)> = (0..3)
        .map(|_| {
            let mut command = sample_of(&mock, "fleet_service", &variables);
            command.env("REDIS_URL", &redis).stdout(Stdio::piped());
            let mut child = command.spawn().expect("a process");
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let url = lines.next().expect("where it listens").expect("text");
            // What else it says is nobody's.
            std::thread::spawn(move || lines.for_each(drop));
            (Running(child), url)
        })
        .collect();
    let config = ureq::Agent::config_builder().proxy(None);
    let agent = config.http_status_as_error(false).build().new_agent();
    let get = |service: usize, path: &str| {
        let url = format!("{}{path}", services[service].1);
        let mut answer = agent.get(&url).call().expect("an answer");
        let text = answer.body_mut().read_to_string().expect("text");
        (answer.status().as_u16(), text)
    };
    let (status, text) = get(0, "/");
    assert_eq!(status, 401, "{text}");
    let url = format!("{}/login", services[0].1);
    let mut link = agent.post(&url).send_empty().expect("an answer");
    let link = link.body_mut().read_to_string().expect("text");
    coze_auth_examples::approve(&mock, &link).expect("a person");
    let begun = Instant::now();
    // Each of them asks the store, so a service that was told of no login finds it later.
    for service in 0..services.len() {
        while get(service, "/") != (200, "alice\n".to_owned()) {
            assert!(begun.elapsed() < PATIENCE, "{:?}", get(service, "/"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    for service in 0..services.len() {
        let (status, text) = get(service, "/users/user-42");
        assert_eq!(status, 200, "{text}");
    }
    let requests = mock.requests();
    let of = |grant: &str| {
        let granted = requests
            .iter()
            .filter(|entry| entry.grant == Some(grant) && entry.issued.is_some());
        granted.count()
    };
    assert_eq!(
        (of("device_code"), of("refresh_token")),
        (1, 0),
        "one login"
    );
    assert_eq!(of("jwt_bearer"), 1, "one signature for all");
}
