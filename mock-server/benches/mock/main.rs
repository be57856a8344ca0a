//! What the mock costs beside a bare route of axum, beside itself at commit `e0d4b6f` and beside `oauth2-mock-server`, in
//! one run: `just mock-bench`.
//! `just soak` lets it run for long: its memory must not grow. `just shadow-bench` has what the shadow adds to a mock.

#![allow(missing_docs)]

mod bare;
mod http;
mod load;
mod process;
mod shadow;
mod soak;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::http::{Connection, log_in, member};
use crate::load::{Load, Run};
use crate::process::{BARE, BEFORE, Kind, MOCK, PEER, Process, before, peer_modules};

const ROUNDS: usize = 11;
const STARTS: usize = 21;
const PEER_STARTS: usize = 5;
const GRANTS: usize = 100_000;
/// How many worlds get a port of their own.
const PORTS: u64 = 201;
const MB: f64 = 1024.0 * 1024.0;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|one| one != "--bench")
        .collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--bare", address] => {
            bare::serve(address);
            ExitCode::SUCCESS
        }
        ["soak"] => soak::run(),
        ["shadow"] => shadow::figures(),
        ["shadow", "soak"] => shadow::soak(),
        _ => figures(),
    }
}

/// The middle one of an odd number.
fn median<T: PartialOrd + Copy>(mut all: Vec<T>) -> T {
    all.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    all[all.len() / 2]
}

struct Verdicts(bool);

impl Verdicts {
    fn tell(&mut self, what: &str, figure: &str, goal: &str, met: bool) {
        let verdict = if met { "MET" } else { "NOT MET" };
        println!("{what:<44} {figure:<46} goal {goal:<10} {verdict}");
        self.0 &= met;
    }

    fn exit(&self) -> ExitCode {
        match self.0 {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}

fn figures() -> ExitCode {
    let peer = peer_modules()
        .join("node_modules/oauth2-mock-server")
        .exists();
    if !peer {
        println!(
            "oauth2-mock-server is not installed: `just bench` does that; its rows are left out"
        );
    }
    pin_to(1);
    let mut verdicts = Verdicts(true);
    throughput(&mut verdicts, peer);
    starts(&mut verdicts, peer);
    memory(&mut verdicts, peer);
    ports(&mut verdicts);
    verdicts.exit()
}

/// This process, so that it takes nothing from the server. On a machine with one core nothing is pinned.
fn pin_to(core: usize) {
    let this = std::process::id().to_string();
    let _ = Command::new("taskset")
        .args(["-p", "-c", &core.to_string(), &this])
        .output();
}

fn throughput(verdicts: &mut Verdicts, peer: bool) {
    let mut loads = vec![
        Load::new("mock: refresh grant", &MOCK),
        Load::new("bare axum route, as many bytes", &BARE),
    ];
    if before().is_some() {
        loads.push(Load::new("mock at e0d4b6f: refresh grant", &BEFORE));
    }
    if peer {
        loads.push(Load::new("oauth2-mock-server: refresh grant", &PEER));
    }
    let mut runs: Vec<Vec<Run>> = loads.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (load, runs) in loads.iter_mut().zip(&mut runs) {
            runs.push(load.run(Duration::from_millis(700)));
        }
    }
    for (load, runs) in loads.iter().zip(&runs) {
        let rate = median(runs.iter().map(Run::rate).collect());
        let cost = median(runs.iter().map(Run::cost_us).collect());
        println!(
            "{:<44} {rate:>8.0} requests/s, {cost:>6.1} µs of its processor each, answers of {} bytes",
            load.name, load.answer
        );
    }
    let ratio = |one: usize, other: usize, figure: fn(&Run) -> f64| {
        let pairs = runs[one].iter().zip(&runs[other]);
        median(
            pairs
                .map(|(one, other)| figure(one) / figure(other))
                .collect(),
        )
    };
    let rate = ratio(0, 1, Run::rate);
    verdicts.tell(
        "throughput beside the bare route",
        &format!("{rate:.2} ×"),
        "≥ 0.8 ×",
        rate >= 0.8,
    );
    let cost = ratio(0, 1, Run::cost_us);
    let then = match before() {
        Some(_) => format!(", at e0d4b6f {:.2} ×", ratio(2, 1, Run::cost_us)),
        None => String::new(),
    };
    verdicts.tell(
        "processor time beside the bare route",
        &format!("{cost:.2} ×{then}"),
        "≤ 1.15 ×",
        cost <= 1.15,
    );
    if peer {
        let peer = ratio(0, loads.len() - 1, Run::rate);
        let figure = format!("{peer:.0} ×");
        verdicts.tell(
            "throughput beside oauth2-mock-server",
            &figure,
            "≥ 30 ×",
            peer >= 30.0,
        );
    }
}

fn start(kind: &Kind, times: usize) -> Duration {
    median(
        (0..times)
            .map(|_| Process::start(kind, None).started_in)
            .collect(),
    )
}

fn starts(verdicts: &mut Verdicts, peer: bool) {
    let own = start(&MOCK, STARTS);
    println!("{:<44} {:>8.1} ms", "mock: start to first answer", ms(own));
    if peer {
        let other = start(&PEER, PEER_STARTS);
        println!(
            "{:<44} {:>8.1} ms",
            "oauth2-mock-server: start to first answer",
            ms(other)
        );
        let ratio = other.as_secs_f64() / own.as_secs_f64();
        verdicts.tell(
            "start beside oauth2-mock-server",
            &format!("{ratio:.0} ×"),
            "≥ 50 ×",
            ratio >= 50.0,
        );
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[allow(clippy::cast_precision_loss)] // megabytes
fn mb(bytes: u64) -> f64 {
    bytes as f64 / MB
}

fn memory(verdicts: &mut Verdicts, peer: bool) {
    let mock = Process::start(&MOCK, None);
    let idle = mb(mock.memory());
    verdicts.tell(
        "mock: resident, idle",
        &format!("{idle:.1} MB"),
        "< 15 MB",
        idle < 15.0,
    );
    if peer {
        let peer = mb(Process::start(&PEER, None).memory());
        println!(
            "{:<44} {peer:>8.1} MB",
            "oauth2-mock-server: resident, idle"
        );
    }
    let mut connection = Connection::new(mock.to).expect("a connection");
    for _ in 0..GRANTS {
        log_in(&mut connection);
    }
    let full = mb(mock.memory());
    let what = format!("mock: resident, {GRANTS} live grants");
    verdicts.tell(&what, &format!("{full:.1} MB"), "< 40 MB", full < 40.0);
}

/// What a port of a world's own costs: from the request for it to the first answer there, and resident.
fn ports(verdicts: &mut Verdicts) {
    let mock = Process::start(&MOCK, None);
    let mut connection = Connection::new(mock.to).expect("a connection");
    let me = |mount: &str| {
        format!("GET {mount}/v1/users/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer pat_mock_alice\r\n\r\n").into_bytes()
    };
    for n in 0..PORTS {
        connection.ok(&me(&format!("/t/w{n}")));
    }
    let without = mock.memory();
    let mut times = Vec::new();
    for n in 0..PORTS {
        let open = format!(
            "PUT /_mock/v1/port?world=w{n} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{{\"port\":0}}"
        );
        let begun = Instant::now();
        let opened = connection.ok(open.as_bytes());
        let (_, port) = member(opened, "port_url").rsplit_once(':').expect("a port");
        let to = (mock.to.ip(), port.parse::<u16>().expect("a number")).into();
        let mut there = Connection::new(to).expect("it listens");
        there.ok(&me(""));
        times.push(begun.elapsed());
    }
    let bytes = mock.memory().saturating_sub(without) / PORTS;
    let time = ms(median(times));
    verdicts.tell(
        "a world's own port, with its first answer",
        &format!("{time:.2} ms"),
        "≤ 2 ms",
        time <= 2.0,
    );
    verdicts.tell(
        "a world's own port, resident",
        &format!("{bytes} bytes"),
        "≤ 20 kB",
        bytes <= 20_000,
    );
}
