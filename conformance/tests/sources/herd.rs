//! Ten thousand who ask at once, and one request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use coze_auth_conformance::Fixture;
use coze_auth_core::jwt::JwtGrant;
use coze_auth_mock::{At, On};
use coze_auth_tokens::tokio::TokenSource;

use crate::support::{LIFE, Login, PATIENCE, RawSocket};
use crate::transports::{Attohttpc, Awaited, Hyper, OnThreads, OnTokio, Reqwest, Tokens, Ureq};

pub(crate) const HERD: usize = 10_000;
/// Of two herds of threads at once, the process would have more mappings than Linux allows.
pub(crate) static ONE_OF_THREADS: Mutex<()> = Mutex::new(());

/// The herd as threads, each of which counts itself before it asks.
pub(crate) fn thread_callers<T: Tokens>(
    source: &T,
    asking: &Arc<AtomicUsize>,
) -> Vec<thread::JoinHandle<String>> {
    let spawn = |_| {
        let (source, asking) = (source.clone(), asking.clone());
        // Ten thousand stacks of the usual size would be 20 GB of addresses.
        let thread = thread::Builder::new().stack_size(512 * 1024);
        let ask = move || {
            asking.fetch_add(1, Ordering::SeqCst);
            source.token().expect("a token").expose().to_owned()
        };
        thread.spawn(ask).expect("a thread")
    };
    (0..HERD).map(spawn).collect()
}

/// As [`thread_callers`], tasks of the runtime.
pub(crate) fn task_callers<T: Awaited>(
    source: &TokenSource<T>,
    asking: &Arc<AtomicUsize>,
) -> Vec<tokio::task::JoinHandle<String>> {
    let spawn = |_| {
        let (source, asking) = (source.clone(), asking.clone());
        tokio::spawn(async move {
            asking.fetch_add(1, Ordering::SeqCst);
            source.token().await.expect("a token").expose().to_owned()
        })
    };
    (0..HERD).map(spawn).collect()
}

fn one_request(fixture: &Fixture<RawSocket>, herd: usize, tokens: &[String]) {
    assert_eq!(tokens.len(), herd);
    assert!(tokens.iter().all(|token| token == &tokens[0]));
    let requests = fixture
        .mock
        .requests()
        .iter()
        .filter(|entry| matches!(entry.grant, Some("jwt_bearer" | "refresh_token")))
        .count();
    println!("callers={herd} token requests={requests}");
    assert_eq!(requests, 1);
}

/// Lets `herd` callers of a source start, and the server answer only when all have.
fn threads<T: Tokens>(source: T, fixture: &Fixture<RawSocket>) {
    let gate = fixture.mock.gate("herd", On::token(), At::Request);
    let asking = Arc::new(AtomicUsize::new(0));
    let callers = thread_callers(&source, &asking);
    assert!(gate.arrived_blocking(1, PATIENCE));
    while asking.load(Ordering::SeqCst) < HERD {
        thread::yield_now();
    }
    gate.open();
    let tokens: Vec<_> = callers
        .into_iter()
        .map(|caller| caller.join().expect("it ends"))
        .collect();
    one_request(fixture, HERD, &tokens);
}

#[test]
fn threads_without_a_token() {
    let _alone = ONE_OF_THREADS
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    herds::<OnThreads<Ureq>>();
    herds::<OnThreads<Attohttpc>>();
}

fn herds<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let source = T::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
    threads(source, &fixture);

    let login = Login::<T>::new();
    login.fixture.clock.advance(LIFE);
    threads(login.tokens.clone(), &login.fixture);
}

/// As tasks of a runtime with one thread, and of one with two.
async fn tasks<T: Awaited>(source: TokenSource<T>, fixture: &Fixture<RawSocket>) {
    let gate = fixture.mock.gate("herd", On::token(), At::Request);
    let asking = Arc::new(AtomicUsize::new(0));
    let callers = task_callers(&source, &asking);
    assert!(gate.arrived(1, PATIENCE).await);
    while asking.load(Ordering::SeqCst) < HERD {
        tokio::task::yield_now().await;
    }
    gate.open();
    let mut tokens = Vec::new();
    for caller in callers {
        tokens.push(caller.await.expect("it ends"));
    }
    one_request(fixture, HERD, &tokens);
}

fn runtimes() -> [tokio::runtime::Runtime; 2] {
    let mut current = tokio::runtime::Builder::new_current_thread();
    let mut multi = tokio::runtime::Builder::new_multi_thread();
    let builders = [&mut current, multi.worker_threads(2)];
    builders.map(|builder| builder.enable_all().build().expect("a runtime"))
}

#[test]
fn tasks_without_a_jwt_token() {
    without_a_jwt_token::<Reqwest>();
    without_a_jwt_token::<Hyper>();
}

fn without_a_jwt_token<T: Awaited>() {
    for runtime in runtimes() {
        let fixture = Fixture::<RawSocket>::new();
        let tokens = OnTokio::<T>::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
        runtime.block_on(tasks(tokens.source, &fixture));
    }
}

#[test]
fn tasks_with_an_ended_login() {
    with_an_ended_login::<Reqwest>();
    with_an_ended_login::<Hyper>();
}

fn with_an_ended_login<T: Awaited>() {
    for runtime in runtimes() {
        let login = Login::<OnTokio<T>>::new();
        login.fixture.clock.advance(LIFE);
        runtime.block_on(tasks(login.tokens.source.clone(), &login.fixture));
    }
}
