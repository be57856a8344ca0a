//! What is measured beside commit `e0d4b6f`: a program whose one text is compiled against either. `just bench` does that.

#![allow(missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use coze_auth_ureq::core::jwt::JwtGrant;
use coze_auth_ureq::core::{AccessToken, Endpoints, Region};
use coze_auth_ureq::{Client, TokenSource, jwt_app_from_env};

const ROUND: Duration = Duration::from_millis(200);
const USERS: u32 = 10_000;

/// Prints nanoseconds: of a call, and whether each call after the first round gave the token of that round.
pub(crate) fn main() {
    let client = Client::new().expect("a client");
    match std::env::args().next_back().as_deref() {
        Some("fixed") => {
            let token = AccessToken::new(format!("czu_{:064}", 7)).expect("a token");
            let tokens = TokenSource::fixed(&client, &Endpoints::cn(), token);
            let ns = ns_a_call(1_000, || {
                drop(black_box(tokens.token()).expect("a token"));
            });
            println!("{ns}");
        }
        _ => in_turn(&client),
    }
}

/// Ten thousand users in turn, over a server of the environment.
fn in_turn(client: &Client) {
    let app = jwt_app_from_env(Region::Cn).expect("the environment has an app");
    let tokens = TokenSource::jwt(client, app, JwtGrant::new());
    let names: Vec<String> = (0..USERS).map(|user| format!("user-{user}")).collect();
    let ask = |name: &String| {
        let session = tokens.session(name).expect("a session");
        session.token().expect("a token")
    };
    let first: Vec<_> = names.iter().map(ask).collect();
    let (mut at, mut same) = (0, true);
    let ns = ns_a_call(1, || {
        let user = at % names.len();
        same &= black_box(ask(&names[user])).matches(&first[user]);
        at += 1;
    });
    println!("{ns} {same}");
}

fn ns_a_call(at_once: u32, mut call: impl FnMut()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        (0..at_once).for_each(|_| call());
        calls += at_once;
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}
