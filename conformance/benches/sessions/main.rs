//! The sessions of a JWT app: what a fresh token costs where there are many, beside commit `e0d4b6f`, and what each weighs.
//! `just bench` prints each figure with its goal.

#![allow(missing_docs)]

mod coze;
mod in_memory;
mod pair;
#[path = "../fresh_path/threads.rs"]
#[allow(dead_code)] // its CPU time is the other bench's
mod threads;

use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use coze_auth_core::jwt::JwtGrant;
use coze_auth_mock::CozeAuthMock;
use coze_auth_tokens::blocking::{self, Transport};
use coze_auth_ureq::{Client, TokenSource};

use crate::in_memory::InMemory;
use crate::threads::together;

/// The program of `pair.rs` at the commit that is compared with; `just bench` builds it.
const BEFORE: &str = "PAIR_BEFORE";
/// Arguments that make this program run one thing alone.
const PAIR: &str = "--pair";
const COUNTED: &str = "--counted";
const WEIGHT: &str = "--weight";

const ROUNDS: usize = 11;
const MANY: usize = 100_000;
const FEW: usize = 1_000;
const THREADS: usize = 16;
/// Fewer than the threads.
const AT_ONCE: usize = 8;

struct Verdicts(bool);

impl Verdicts {
    fn tell(&mut self, what: &str, figure: &str, goal: &str, met: bool) {
        let verdict = if met { "MET" } else { "NOT MET" };
        println!("{what:<52} {figure:<58} goal {goal:<12} {verdict}");
        self.0 &= met;
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    if words.contains(&PAIR) {
        pair::main();
        return ExitCode::SUCCESS;
    }
    if words.contains(&WEIGHT) {
        println!("{}", weight_here());
        return ExitCode::SUCCESS;
    }
    if let [.., COUNTED, users, calls] = words[..] {
        let number = |text: &str| text.parse().expect("a number");
        counted(number(users), number(calls));
        return ExitCode::SUCCESS;
    }
    println!(
        "Sessions: session(name)?.token() of a fresh token, over coze-auth-ureq, unless it says otherwise."
    );
    let mut verdicts = Verdicts(true);
    beside_before(&mut verdicts);
    many_and_few(&mut verdicts);
    instructions(&mut verdicts);
    many_threads(&mut verdicts);
    weight(&mut verdicts);
    all_end_at_once(&mut verdicts);
    match verdicts.0 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|user| format!("user-{user}")).collect()
}

/// This commit and the one before it in turn, each in a process of its own.
fn beside_before(verdicts: &mut Verdicts) {
    let Some(before) = std::env::var_os(BEFORE).map(PathBuf::from) else {
        println!("Nothing is compared with e0d4b6f: `just bench` builds it and sets {BEFORE}.");
        return;
    };
    let mock = CozeAuthMock::builder().start_blocking().expect("a mock");
    let run = |program: &PathBuf, what: &str| {
        let output = Command::new(program)
            .args([PAIR, what])
            .envs(mock.variables())
            .output()
            .expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {error}", program.display());
        let text = String::from_utf8(output.stdout).expect("a text");
        let mut words = text.split_whitespace();
        let ns: f64 = words.next().expect("ns").parse().expect("a number");
        (ns, words.next() == Some("true"))
    };
    let ours = std::env::current_exe().expect("this program");
    let ((then, _), (now, same)) = (run(&before, "in-turn"), run(&ours, "in-turn"));
    verdicts.tell(
        "10,000 users in turn, beside e0d4b6f",
        &format!(
            "{now:.0} ns beside {then:.0}: {:.0} ×, {}",
            then / now,
            match same {
                true => "no request after the first round",
                false => "REQUESTS AFTER THE FIRST ROUND",
            }
        ),
        "≥ 500 ×",
        then / now >= 500.0 && same,
    );
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| (run(&before, "fixed").0, run(&ours, "fixed").0))
        .collect();
    let ratio = median(rounds.iter().map(|(then, now)| now / then).collect());
    let (then, now): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    verdicts.tell(
        "a fixed token, one source, beside e0d4b6f",
        &format!(
            "{:.1} ns beside {:.1}: {ratio:.2} ×",
            median(now),
            median(then)
        ),
        "≤ 1.05 ×",
        ratio <= 1.05,
    );
}

/// A source, and the names of so many sessions, each with a fresh token.
fn filled(count: usize) -> (TokenSource, Vec<String>) {
    let app = coze::app(&coze::start());
    let client = Client::new().expect("a client");
    let tokens = TokenSource::jwt(&client, app, JwtGrant::new());
    let names = names(count);
    for name in &names {
        ask(&tokens, name);
    }
    (tokens, names)
}

fn ask<T: Transport + Clone + 'static>(tokens: &blocking::TokenSource<T>, name: &str) {
    let session = tokens.session(name).expect("a session");
    drop(black_box(session.token()).expect("a token"));
}

/// In turn; each thread begins elsewhere.
fn calls<'a>(tokens: &'a TokenSource, names: &'a [String]) -> impl Fn(u32) + Sync + 'a {
    let threads = AtomicUsize::new(0);
    move |calls| {
        let begin = threads.fetch_add(1, Ordering::Relaxed) * names.len() / THREADS;
        let in_turn = names.iter().cycle().skip(begin % names.len());
        for name in in_turn.take(calls as usize) {
            ask(tokens, name);
        }
    }
}

fn many_and_few(verdicts: &mut Verdicts) {
    let start = Instant::now();
    let (few, many) = (filled(FEW), filled(MANY));
    assert!(start.elapsed().as_secs() < 600, "all are fresh");
    let (few, many) = (calls(&few.0, &few.1), calls(&many.0, &many.1));
    let count = u32::try_from(MANY).expect("few");
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            (
                together(1, count, &few).wall,
                together(1, count, &many).wall,
            )
        })
        .collect();
    let ratio = median(rounds.iter().map(|(few, many)| many / few).collect());
    let (few, many): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    verdicts.tell(
        "100,000 users in turn, beside 1,000: time",
        &format!(
            "{:.0} ns beside {:.0}: {ratio:.2} ×",
            median(many),
            median(few)
        ),
        "≤ 4 ×",
        ratio <= 4.0,
    );
}

/// What valgrind counts the instructions of.
fn counted(users: usize, calls: usize) {
    let (tokens, names) = (InMemory::default().tokens(), names(users));
    for name in names.iter().chain(names.iter().cycle().take(calls)) {
        ask(&tokens, name);
    }
}

fn instructions(verdicts: &mut Verdicts) {
    let what = "100,000 users in turn, beside 1,000: instructions";
    // Once with calls and once without; what both do is left out.
    let of_a_call =
        |users: usize| Some((valgrind(users, MANY)? - valgrind(users, 0)?) / MANY as f64);
    let (Some(few), Some(many)) = (of_a_call(FEW), of_a_call(MANY)) else {
        println!(
            "{what}: NOT SHOWN, there is no valgrind here (Debian and Ubuntu: apt-get install valgrind)."
        );
        return;
    };
    let ratio = many / few;
    verdicts.tell(
        what,
        &format!("{many:.0} beside {few:.0}: {ratio:.2} ×, without HTTP client"),
        "≤ 1.1 ×",
        ratio <= 1.1,
    );
}

/// The instructions of [`counted`]; none without valgrind.
fn valgrind(users: usize, calls: usize) -> Option<f64> {
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(std::env::current_exe().expect("this program"))
        .args([COUNTED, &users.to_string(), &calls.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let (_, count) = text
        .split_once("I refs:")
        .or_else(|| text.split_once("I   refs:"))?;
    count.lines().next()?.trim().replace(',', "").parse().ok()
}

/// Beside what this machine gives to threads that share nothing: each asks a source of its own.
fn many_threads(verdicts: &mut Verdicts) {
    let (tokens, names) = filled(FEW);
    let shared = calls(&tokens, &names);
    let each: Vec<_> = (0..THREADS).map(|_| filled(FEW)).collect();
    let next = AtomicUsize::new(0);
    let own = |count: u32| {
        let (tokens, names) = &each[next.fetch_add(1, Ordering::Relaxed) % THREADS];
        calls(tokens, names)(count);
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let throughput = |work: &(dyn Fn(u32) + Sync)| {
        let start = Instant::now();
        together(1, 400_000, work);
        let one = start.elapsed();
        let start = Instant::now();
        together(THREADS, 400_000 / THREADS as u32 * cores as u32, work);
        cores as f64 * one.as_secs_f64() / start.elapsed().as_secs_f64()
    };
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| (throughput(&shared), throughput(&own)))
        .collect();
    let (shared, own): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    let (ratio, nothing_shared) = (median(shared), median(own));
    let goal = 0.9 * cores as f64;
    verdicts.tell(
        &format!("1,000 users, {THREADS} threads on {cores} cores: throughput"),
        &format!("{ratio:.2} × one thread's; {nothing_shared:.2} × with nothing shared"),
        &format!("≥ {goal:.1} ×"),
        ratio >= goal,
    );
}

/// What is resident in a process of its own: renewals run on threads of their own, and what others have freed is used
/// again.
fn weight(verdicts: &mut Verdicts) {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .arg(WEIGHT)
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let each: f64 = text.trim().parse().expect("bytes");
    verdicts.tell(
        "memory of a session with a fresh token",
        &format!("{each:.0} B resident, of 100,000"),
        "≤ 1,000 B",
        each <= 1_000.0,
    );
}

fn weight_here() -> f64 {
    let (tokens, names) = (InMemory::default().tokens(), names(MANY));
    let before = resident();
    names.iter().for_each(|name| ask(&tokens, name));
    (resident() - before) / MANY as f64
}

/// Everyone comes at once when all have ended: 16 threads, each of which asks for all.
fn all_end_at_once(verdicts: &mut Verdicts) {
    let names = names(MANY);
    let coze = InMemory::default();
    let tokens = coze.tokens().renewals_at_once(AT_ONCE);
    let ask_all = || names.iter().for_each(|name| ask(&tokens, name));
    ask_all();
    let before = resident();
    coze.pass(900);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(ask_all);
        }
    });
    let took = start.elapsed();
    let requests = coze.requests() as usize - MANY;
    let (grown, most) = (resident() / before, coze.most());
    verdicts.tell(
        "100,000 tokens that end at once: renewals",
        &format!(
            "{requests}, {most} at once of {AT_ONCE}, {:.1} s, memory {grown:.2} ×",
            took.as_secs_f64()
        ),
        "once, flat",
        requests == MANY && most <= AT_ONCE as u64 && (grown.is_nan() || grown <= 1.1),
    );
}

/// Of this process, in bytes; not a number where the system does not tell it as Linux does.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kb.map_or(f64::NAN, |kb| kb * 1024.0)
}
