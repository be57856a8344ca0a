//! `cargo demo`: every Coze credential and flow, through both adapters, against an embedded mock server.
//!
//! Each exchange is printed as it goes over the wire, secrets masked. Nothing leaves this machine and
//! nobody waits: client and server share a clock, and a sleep moves it. `cargo demo device` shows one flow.

#[path = "../../tests/subjects/clocks.rs"]
mod clocks;
#[allow(dead_code, unused_imports)] // it shows the adapters
#[path = "../../tests/subjects/mod.rs"]
mod subjects;
mod trace;

use std::error::Error;
use std::process::ExitCode;

use coze_auth_conformance::{Stage, Subject};
use coze_auth_core::authorize::{AuthorizeUrl, Callback};
use coze_auth_core::jwt::JwtGrant;
use coze_auth_core::{AccessToken, TokenGrant, whoami};
use coze_auth_mock::DeviceAction;

use crate::trace::{Traced, heading, masked_url, note};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What is shown, and how.
struct Show<S> {
    name: &'static str,
    title: &'static str,
    run: fn(&Stage<S>) -> Outcome,
}

fn shows<S: Subject>() -> [Show<S>; 7] {
    [
        Show {
            name: "pat",
            title: "a personal access token",
            run: pat,
        },
        Show {
            name: "sat",
            title: "a service access token",
            run: sat,
        },
        Show {
            name: "web",
            title: "authorization code with a client secret",
            run: web,
        },
        Show {
            name: "pkce",
            title: "authorization code with a code verifier",
            run: pkce,
        },
        Show {
            name: "device",
            title: "device code, approved while the program polls",
            run: device,
        },
        Show {
            name: "jwt",
            title: "a signed assertion",
            run: jwt,
        },
        Show {
            name: "refresh",
            title: "a refresh token, which rotates",
            run: refresh,
        },
    ]
}

fn main() -> ExitCode {
    let only = std::env::args().nth(1);
    let names = shows::<subjects::Ureq>().map(|show| show.name);
    if only
        .as_ref()
        .is_some_and(|only| !names.contains(&only.as_str()))
    {
        eprintln!("cargo demo [{}]", names.join("|"));
        return ExitCode::from(2);
    }
    println!("Every Coze credential and flow, against a mock Coze auth server in this process.");
    println!(
        "Secrets are masked. Time is virtual: client and server share a clock. Each scene has a server of its own."
    );
    let rows = [
        play::<subjects::Reqwest>("reqwest", only.as_deref()),
        play::<subjects::Ureq>("ureq", only.as_deref()),
    ];
    println!();
    for row in &rows {
        println!("{row}");
    }
    if rows.iter().any(|row| row.contains("FAILED")) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Shows everything over one adapter, and gives the line of the summary.
fn play<S: Subject>(adapter: &str, only: Option<&str>) -> String {
    let mut row = format!("{adapter:<8}");
    for show in shows::<S>()
        .into_iter()
        .filter(|show| only.is_none_or(|only| only == show.name))
    {
        heading(&format!("{adapter} · {}: {}", show.name, show.title));
        let stage = Stage::new();
        let verdict = match (show.run)(&stage) {
            Ok(()) => "ok",
            Err(error) => {
                println!("  FAILED: {error}");
                "FAILED"
            }
        };
        row += &format!("  {} {verdict}", show.name);
    }
    row
}

fn pat<S: Subject>(stage: &Stage<S>) -> Outcome {
    prove(stage, &stage.token("pat"))
}

fn sat<S: Subject>(stage: &Stage<S>) -> Outcome {
    prove(stage, &stage.token("sat"))
}

fn web<S: Subject>(stage: &Stage<S>) -> Outcome {
    let grant = web_login(stage)?;
    prove(stage, &grant.access_token)
}

fn web_login<S: Subject>(stage: &Stage<S>) -> Outcome<TokenGrant> {
    let app = stage.web();
    let (url, pending) = app.authorize(&stage.redirect(), stage.entropy())?;
    let callback = approve(stage, &url)?;
    Ok(stage.run(Traced(app.exchange(pending, &callback)?))?)
}

fn pkce<S: Subject>(stage: &Stage<S>) -> Outcome {
    let app = stage.pkce();
    let (url, pending) = app.authorize(&stage.redirect(), stage.entropy())?;
    let callback = approve(stage, &url)?;
    let grant = stage.run(Traced(app.exchange(pending, &callback)?))?;
    prove(stage, &grant.access_token)
}

fn device<S: Subject>(stage: &Stage<S>) -> Outcome {
    let app = stage.device();
    let started = stage.run(Traced(app.start()))?;
    note(&format!(
        "the program shows {} and {}",
        started.user_code,
        masked_url(&started.verification_uri_complete)
    ));
    // Nothing is approved yet: one poll of this kind is shown before the person acts.
    let (mock, code) = (stage.mock.clone(), started.user_code.clone());
    let approve = move || {
        note("the person approves");
        mock.decide_device(&code, DeviceAction::Approve).is_ok()
    };
    let grant = stage.run(Traced(trace::then_after_first_answer(
        app.poll(&started),
        approve,
    )))?;
    prove(stage, &grant.access_token)
}

fn jwt<S: Subject>(stage: &Stage<S>) -> Outcome {
    let request = JwtGrant::new().session_name("user-42")?;
    let grant = stage.run(Traced(stage.jwt().grant(&request, stage.entropy())))?;
    prove(stage, &grant.access_token)
}

fn refresh<S: Subject>(stage: &Stage<S>) -> Outcome {
    let app = stage.web();
    note("after a web login");
    let (url, pending) = app.authorize(&stage.redirect(), stage.entropy())?;
    let grant = stage.run(app.exchange(pending, &stage.browser(&url, true))?)?;
    let old = grant.refresh_token.ok_or("no refresh token")?;
    let grant = stage.run(Traced(app.refresh(&old)))?;
    prove(stage, &grant.access_token)?;
    note("the old refresh token again");
    match stage.run(Traced(app.refresh(&old))) {
        Ok(_) => Err("a spent refresh token was taken".into()),
        Err(error) => {
            note(&format!("as it must be: {error}"));
            Ok(())
        }
    }
}

/// A token is worth something if it opens the API.
fn prove<S: Subject>(stage: &Stage<S>, token: &AccessToken) -> Outcome {
    let user = stage.run(Traced(whoami(&stage.endpoints(), token)))?;
    note(&format!("the token speaks for {}", user.user_name));
    Ok(())
}

/// The person's part in a browser, which `POST /_mock/v1/authorize` does without one.
fn approve<S: Subject>(stage: &Stage<S>, url: &AuthorizeUrl) -> Outcome<Callback> {
    note(&format!("the person opens {}", masked_url(url.as_str())));
    let back = stage
        .mock
        .authorize(url.as_str(), true)
        .map_err(|refused| refused.to_string())?;
    note(&format!(
        "approves, and comes back to {}",
        masked_url(&back)
    ));
    Ok(Callback::parse(&back)?)
}
