//! What the shadow adds to a refresh, beside the mock alone in the same run: its own processor time, the wait under an open load, and
//! its memory over many requests.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{Connection, log_in, member, refresh};
use crate::process::{MOCK, Process};
use crate::{Verdicts, mb, median};

const ROUNDS: usize = 7;
const CLIENTS: usize = 8;
const REFRESHES: usize = 4_000;
/// Requests a second of the open load, for so long a round.
const RATE: u32 = 200;
const LOAD: Duration = Duration::from_secs(4);
/// After so many its memory is what it stays: the tables of tokens are full, and have evicted.
const SETTLED: usize = 120_000;
/// Of the allocator: what is freed and taken again does not lie as close.
const GROWTH: f64 = 1.05;

pub(crate) fn figures() -> ExitCode {
    let mut verdicts = Verdicts(true);
    let mock = Process::start(&MOCK, None);
    let shadow = Process::shadow(mock.to);
    processor(&mut verdicts, &mock, &shadow);
    open_load(&mut verdicts, &mock, &shadow);
    memory(&mut verdicts, 240_000);
    verdicts.exit()
}

pub(crate) fn soak() -> ExitCode {
    let mut verdicts = Verdicts(true);
    memory(&mut verdicts, 1_000_000);
    verdicts.exit()
}

/// A login of its own over one connection that is kept.
struct Client {
    connection: Connection,
    refresh_token: String,
}

impl Client {
    fn all(to: SocketAddr) -> Vec<Self> {
        let one = |_| {
            let mut connection = Connection::new(to).expect("it listens");
            let refresh_token = log_in(&mut connection);
            Self {
                connection,
                refresh_token,
            }
        };
        (0..CLIENTS).map(one).collect()
    }

    fn refresh(&mut self) {
        let body = self.connection.ok(&refresh(&self.refresh_token));
        self.refresh_token = member(body, "refresh_token").to_owned();
    }
}

/// All at once, each of which waits for its answer.
fn refreshes(clients: &mut [Client], number: usize) {
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(|| (0..number / CLIENTS).for_each(|_| client.refresh()));
        }
    });
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn spread(all: &[f64]) -> String {
    let least = all.iter().copied().fold(f64::MAX, f64::min);
    let most = all.iter().copied().fold(0.0, f64::max);
    format!("{:.0} µs ({least:.0} to {most:.0})", median(all.to_vec()))
}

/// Its own, of each refresh.
fn processor(verdicts: &mut Verdicts, mock: &Process, shadow: &Process) {
    let mut clients = Client::all(shadow.to);
    let (mut of_shadow, mut of_mock) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = (shadow.processor(), mock.processor());
        refreshes(&mut clients, REFRESHES);
        let each = |after: Duration, before| micros(after - before) / REFRESHES as f64;
        of_shadow.push(each(shadow.processor(), before.0));
        of_mock.push(each(mock.processor(), before.1));
    }
    println!(
        "{:<44} {}",
        "mock: processor time of each refresh",
        spread(&of_mock)
    );
    verdicts.tell(
        "shadow: its processor time of each refresh",
        &spread(&of_shadow),
        "≤ 100 µs",
        median(of_shadow) <= 100.0,
    );
}

/// How long an answer takes, from when its request was due, whatever the ones before it did.
fn open_load(verdicts: &mut Verdicts, mock: &Process, shadow: &Process) {
    let (mut alone, mut through) = (Client::all(mock.to), Client::all(shadow.to));
    let (mut direct, mut shadowed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        direct.push(p99(&mut alone));
        shadowed.push(p99(&mut through));
    }
    let pairs = shadowed.iter().zip(&direct);
    let added = median(pairs.map(|(one, other)| one - other).collect());
    let what = format!("mock alone: p99 at {RATE} requests/s");
    println!("{what:<44} {}", spread(&direct));
    println!("{:<44} {}", "through the shadow: p99", spread(&shadowed));
    verdicts.tell(
        "shadow: what it adds to the p99",
        &format!("{added:.0} µs"),
        "≤ 1 ms",
        added <= 1_000.0,
    );
}

fn p99(clients: &mut [Client]) -> f64 {
    let pause = Duration::from_secs(1) / RATE;
    let begun = Instant::now() + Duration::from_millis(5);
    let each = |nth: usize, client: &mut Client| {
        let dues = (nth..).step_by(CLIENTS).map(|n| pause * n as u32);
        let dues = dues.take_while(|due| *due < LOAD);
        let time = |due: Duration| {
            let due = begun + due;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            client.refresh();
            micros(due.elapsed())
        };
        dues.map(time).collect::<Vec<_>>()
    };
    let mut times: Vec<f64> = thread::scope(|scope| {
        let clients = clients.iter_mut().enumerate();
        let threads: Vec<_> = clients
            .map(|(nth, client)| scope.spawn(move || each(nth, client)))
            .collect();
        let threads = threads.into_iter();
        threads
            .flat_map(|thread| thread.join().expect("it ends"))
            .collect()
    });
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100]
}

/// Resident, when it has settled and after so many requests.
fn memory(verdicts: &mut Verdicts, requests: usize) {
    let mock = Process::start(&MOCK, None);
    let shadow = Process::shadow(mock.to);
    let mut clients = Client::all(shadow.to);
    refreshes(&mut clients, SETTLED);
    let settled = mb(shadow.memory());
    refreshes(&mut clients, requests - SETTLED);
    let end = mb(shadow.memory());
    let figure = format!("{end:.1} MB, {:.3} × of {settled:.1} MB", end / settled);
    verdicts.tell(
        &format!("shadow: resident after {requests} requests"),
        &figure,
        "≤ 1.05 ×",
        end <= settled * GROWTH,
    );
}
