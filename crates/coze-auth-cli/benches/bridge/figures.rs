//! The figures, each beside its goal.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Speaks};
use crate::process::Process;

const ROUNDS: usize = 7;
const CLIENTS: usize = 8;
const REFRESHES: u32 = 4_000;
/// Requests a second of the open load, for so long a round.
const RATE: u32 = 200;
const LOAD: Duration = Duration::from_secs(4);
const MB: f64 = 1024.0 * 1024.0;
/// Of the allocator: what is freed and taken again does not lie as close.
const GROWTH: f64 = 1.05;
/// What it uses before that is for the first time.
const SETTLED: usize = 10_000;

pub(crate) fn all() -> bool {
    let mock = Process::mock();
    let bridge = Process::bridge(&mock);
    processor(&mock, &bridge) & open_load(&mock, &bridge) & memory(50_000)
}

fn median<T: PartialOrd + Copy>(mut all: Vec<T>) -> T {
    all.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    all[all.len() / 2]
}

fn tell(what: &str, figure: &str, goal: &str, met: bool) -> bool {
    let verdict = if met { "MET" } else { "NOT MET" };
    println!("{what:<52} {figure:<40} goal {goal:<10} {verdict}");
    met
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn spread(all: &[f64]) -> String {
    let (least, most) = all.iter().fold((f64::MAX, 0.0_f64), |(least, most), one| {
        (least.min(*one), most.max(*one))
    });
    format!("{:.0} µs ({least:.0} to {most:.0})", median(all.to_vec()))
}

/// Its own, of each refresh: some clients, each of which waits for its answer.
fn processor(mock: &Process, bridge: &Process) -> bool {
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| Client::new(mock.to, bridge.to, Speaks::OAuth))
        .collect();
    let mut of_bridge = Vec::new();
    let mut of_mock = Vec::new();
    for _ in 0..ROUNDS {
        let before = (bridge.processor(), mock.processor());
        thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| (0..REFRESHES / CLIENTS as u32).for_each(|_| client.refresh()));
            }
        });
        let each = |after: Duration, before| micros(after - before) / f64::from(REFRESHES);
        of_bridge.push(each(bridge.processor(), before.0));
        of_mock.push(each(mock.processor(), before.1));
    }
    println!(
        "mock: processor time of each refresh                  {}",
        spread(&of_mock)
    );
    let figure = spread(&of_bridge);
    tell(
        "bridge: its processor time of each refresh",
        &figure,
        "≤ 60 µs",
        median(of_bridge) <= 60.0,
    )
}

/// How long an answer takes, from when its request was due, whatever the ones before it did.
fn open_load(mock: &Process, bridge: &Process) -> bool {
    let mut alone: Vec<_> = (0..CLIENTS)
        .map(|_| Client::new(mock.to, mock.to, Speaks::Coze))
        .collect();
    let mut through: Vec<_> = (0..CLIENTS)
        .map(|_| Client::new(mock.to, bridge.to, Speaks::OAuth))
        .collect();
    let (mut direct, mut bridged) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        direct.push(p99(&mut alone));
        bridged.push(p99(&mut through));
    }
    println!(
        "mock alone: p99 at {RATE} requests a second              {}",
        spread(&direct)
    );
    println!(
        "through the bridge: p99                               {}",
        spread(&bridged)
    );
    let added = median(
        bridged
            .iter()
            .zip(&direct)
            .map(|(one, other)| one - other)
            .collect(),
    );
    tell(
        "bridge: what it adds to the p99",
        &format!("{added:.0} µs"),
        "≤ 1 ms",
        added <= 1_000.0,
    )
}

fn p99(clients: &mut [Client]) -> f64 {
    let pause = Duration::from_secs(1) / RATE;
    let begun = Instant::now() + Duration::from_millis(5);
    let each = |nth: usize, client: &mut Client| {
        let mut times = Vec::new();
        for n in 0.. {
            let due = pause * (n * CLIENTS + nth) as u32;
            if due >= LOAD {
                break;
            }
            let due = begun + due;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            client.refresh();
            times.push(micros(due.elapsed()));
        }
        times
    };
    let mut times: Vec<f64> = thread::scope(|scope| {
        let clients = clients.iter_mut().enumerate();
        let threads: Vec<_> = clients
            .map(|(nth, client)| scope.spawn(move || each(nth, client)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("it ends"))
            .collect()
    });
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100]
}

/// Resident, when it has settled and after so many requests.
pub(crate) fn memory(requests: usize) -> bool {
    let mock = Process::mock();
    let bridge = Process::bridge(&mock);
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| Client::new(mock.to, bridge.to, Speaks::OAuth))
        .collect();
    let mut some = |number: usize| {
        thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| (0..number / CLIENTS).for_each(|_| client.refresh()));
            }
        });
    };
    some(SETTLED);
    let settled = bridge.memory() as f64 / MB;
    some(requests - SETTLED);
    let end = bridge.memory() as f64 / MB;
    let what = format!("bridge: resident, after {requests} requests");
    let small = tell(&what, &format!("{end:.1} MB"), "< 12 MB", end < 12.0);
    let what = format!("bridge: growth since request {SETTLED}");
    small
        & tell(
            &what,
            &format!("{:.3} × (from {settled:.1} MB)", end / settled),
            "≤ 1.05 ×",
            end <= settled * GROWTH,
        )
}
