//! A workload's tokens over each transport. A small platform of these tests' own answers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use coze_auth_conformance::SharedClock;
use coze_auth_core::error::{GrantType, Oddity};
use coze_auth_core::workload::{Lane, ProjectVariable};
use coze_auth_core::{self as core, ErrorKind};
use coze_auth_tokens::Error;

use crate::herd::{HERD, ONE_OF_THREADS, task_callers, thread_callers};
use crate::over_each;
use crate::platform::{Platform, json};
use crate::support::{PATIENCE, seconds};
use crate::transports::{OnThreads, OnTokio, Reqwest, Tokens, Ureq};

over_each! {
    a_token_a_credential_and_the_variables,
    ten_identities_have_ten_tokens,
    a_short_life_is_renewed_early,
    a_refused_token_is_renewed_once_and_the_request_repeated_once,
    a_redirect_is_not_followed,
    a_failure_is_told_to_everyone_for_a_pause,
    a_broken_exchange_begins_anew,
}

fn a_token_a_credential_and_the_variables<T: Tokens>() {
    let platform = Platform::new(900);
    let app = platform.app("w", "s/+=cret");
    let app = app.with_lane(Lane::new("ppe_x").expect("a lane"));
    let tokens = T::workload(&SharedClock::new(), app);
    let credential = tokens.integration("integration-x").expect("a credential");
    assert_eq!(credential.expose(), "c-1");
    let variables = tokens.project_env().expect("variables");
    assert_eq!(variables.get("A").map(ProjectVariable::expose), Some("v-1"));
    let saw = platform.saw();
    let lines: Vec<_> = saw.iter().map(|seen| seen.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "POST /id",
            "POST /access",
            "POST /out/integration",
            "GET /out/env"
        ]
    );
    for seen in &saw {
        assert_eq!(seen.header("x-tt-env"), "ppe_x", "{seen:?}");
        assert_eq!(seen.header("x-use-ppe"), "1", "{seen:?}");
    }
    let form = "application/x-www-form-urlencoded";
    for seen in &saw[..2] {
        assert_eq!(seen.header("content-type"), form);
        assert_eq!(seen.header("authorization"), "");
    }
    assert_eq!(
        saw[0].body,
        "client_id=w&client_secret=s%2F%2B%3Dcret&grant_type=client_credentials"
    );
    assert_eq!(saw[1].member("subject_token"), "id.w.ppe_x");
    for seen in &saw[2..] {
        assert_eq!(seen.header("content-type"), "application/json");
        assert_eq!(seen.header("authorization"), "Bearer id.w.ppe_x.0");
    }
    assert_eq!(saw[2].body, r#"{"integration_name":"integration-x"}"#);
}

fn ten_identities_have_ten_tokens<T: Tokens>() {
    let (platform, clock) = (Platform::new(900), SharedClock::new());
    let sources: Vec<T> = (0..10)
        .map(|id| T::workload(&clock, platform.app(&format!("w{id}"), "s")))
        .collect();
    let mut tokens = BTreeSet::new();
    for _ in 0..2 {
        for (id, source) in sources.iter().enumerate() {
            let token = source.token().expect("a token");
            assert!(
                token.expose().starts_with(&format!("id.w{id}.")),
                "of its own"
            );
            tokens.insert(token.expose().to_owned());
        }
    }
    assert_eq!(tokens.len(), 10);
    assert_eq!(platform.saw().len(), 20);
}

fn a_short_life_is_renewed_early<T: Tokens>() {
    let (platform, clock) = (Platform::new(30), SharedClock::new());
    let tokens = T::workload(&clock, platform.app("w", "s")).wait_when_stale();
    let first = tokens.token().expect("a token");
    clock.advance(seconds(26));
    assert!(tokens.token().expect("a token").matches(&first));
    assert_eq!(platform.saw().len(), 2);
    clock.advance(seconds(2));
    let second = tokens.token().expect("a token");
    assert_eq!(second.expose(), "id.w..1");
    assert_eq!(platform.saw().len(), 2);
}

fn a_refused_token_is_renewed_once_and_the_request_repeated_once<T: Tokens>() {
    let (platform, clock) = (Platform::new(900), SharedClock::new());
    let tokens: T = T::workload(&clock, platform.app("w", "s"));
    let refuse = || {
        clock.advance(seconds(60));
        platform.refuse(tokens.token().expect("a token").expose());
        platform.saw();
    };
    refuse();
    let url = platform.url("/out/x");
    let (status, _) = tokens.send("GET", &url, false).expect("an answer");
    assert_eq!(status, 200);
    assert_eq!(
        platform.lines(),
        ["GET /out/x", "POST /id", "POST /access", "GET /out/x"]
    );
    refuse();
    let (status, _) = tokens.send("POST", &url, false).expect("an answer");
    assert_eq!(status, 401, "it may not be repeated");
    assert_eq!(platform.lines(), ["POST /out/x"]);
    let (status, _) = tokens.send("POST", &url, false).expect("an answer");
    assert_eq!(status, 200);
    refuse();
    tokens.integration("x").expect("a credential");
    assert_eq!(
        platform.lines(),
        [
            "POST /out/integration",
            "POST /id",
            "POST /access",
            "POST /out/integration"
        ]
    );
    let error = tokens
        .send("GET", "http://127.0.0.1:9/", false)
        .expect_err("another origin");
    assert!(matches!(error, Error::OtherOrigin { .. }), "{error}");
}

/// The official client sends the secret and the id token after a 307.
fn a_redirect_is_not_followed<T: Tokens>() {
    for (redirected, before, step) in [
        ("POST /id", 1, Some(GrantType::ClientCredentials)),
        ("POST /access", 2, Some(GrantType::TokenExchange)),
        ("POST /out/integration", 3, None),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let thief = Platform::new(900);
            let location = format!("location: {}\r\n", thief.url("/stolen"));
            let platform = Platform::saying(900, move |seen| {
                let is_it = seen.line == redirected;
                is_it.then(|| (status, location.clone(), String::new()))
            });
            let tokens = T::workload(&SharedClock::new(), platform.app("w", "s"));
            let error = tokens.integration("x").expect_err("a redirect");
            let Error::Core { error, .. } = &error else {
                panic!("{error}")
            };
            assert_eq!(
                (error.kind(), error.grant_type()),
                (ErrorKind::Settings, step)
            );
            let core::Error::Unexpected(unexpected) = error else {
                panic!("{error}")
            };
            assert_eq!(unexpected.oddity(), Oddity::Redirect);
            assert_eq!(platform.saw().len(), before, "{redirected} {status}");
            assert!(thief.saw().is_empty(), "{redirected} {status}");
        }
    }
}

fn a_failure_is_told_to_everyone_for_a_pause<T: Tokens>() {
    let platform = Platform::saying(900, |seen| {
        let (_, headers, body) = json(r#"{"error":"invalid_client"}"#);
        (seen.line == "POST /id").then_some((401, headers, body))
    });
    let clock = SharedClock::new();
    let tokens = T::workload(&clock, platform.app("w", "s"));
    for pause in [1, 2, 4] {
        for _ in 0..5 {
            let error = tokens.token().expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
            assert!(error.to_string().contains("step 1 of 2"), "{error}");
        }
        assert_eq!(platform.saw().len(), 1, "before {pause} s");
        clock.advance(seconds(pause));
    }
}

/// Once: what lasts is told.
fn a_broken_exchange_begins_anew<T: Tokens>() {
    let fails = AtomicUsize::new(0);
    let platform = Platform::saying(900, move |seen| {
        let is_first = seen.line == "POST /access" && fails.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| (503, String::new(), "<html>".to_owned()))
    });
    let tokens = T::workload(&SharedClock::new(), platform.app("w", "s"));
    tokens.token().expect("a token");
    assert_eq!(
        platform.lines(),
        ["POST /id", "POST /access", "POST /id", "POST /access"]
    );
}

/// A platform that answers only when all of the herd have asked.
fn patient() -> (Platform, Arc<AtomicUsize>) {
    let asking = Arc::new(AtomicUsize::new(0));
    let all = asking.clone();
    let platform = Platform::saying(900, move |_| {
        let begun = std::time::Instant::now();
        while all.load(Ordering::SeqCst) < HERD && begun.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        None
    });
    (platform, asking)
}

fn two_requests(platform: &Platform, tokens: &BTreeSet<String>) {
    assert_eq!(tokens.len(), 1);
    let lines = platform.lines();
    println!("callers={HERD} requests={}", lines.len());
    assert_eq!(lines, ["POST /id", "POST /access"]);
}

/// The official client sends twenty for ten threads.
#[test]
fn ten_thousand_callers_cause_two_requests() {
    let alone = ONE_OF_THREADS
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let (platform, asking) = patient();
    let source = OnThreads::<Ureq>::workload(&SharedClock::new(), platform.app("w", "s"));
    let callers = thread_callers(&source, &asking);
    let tokens = callers
        .into_iter()
        .map(|caller| caller.join().expect("it ends"));
    two_requests(&platform, &tokens.collect());
    drop(alone);

    let (platform, asking) = patient();
    let source = OnTokio::<Reqwest>::workload(&SharedClock::new(), platform.app("w", "s"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let tokens = runtime.expect("a runtime").block_on(async {
        let callers = task_callers(&source.source, &asking);
        let mut tokens = BTreeSet::new();
        for caller in callers {
            tokens.insert(caller.await.expect("it ends"));
        }
        tokens
    });
    two_requests(&platform, &tokens);
}
