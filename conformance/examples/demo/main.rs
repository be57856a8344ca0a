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

use coze_auth_conformance::{Fixture, Subject};
use coze_auth_core::authorize::{AuthorizeUrl, Callback};
use coze_auth_core::jwt::JwtGrant;
use coze_auth_core::{AccessToken, TokenGrant, whoami};
use coze_auth_mock::DeviceAction;

use crate::trace::{Traced, heading, masked_url, note};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// One flow of the demo.
struct Demo<S> {
    name: &'static str,
    title: &'static str,
    run: fn(&Fixture<S>) -> Outcome,
}

fn demos<S: Subject>() -> [Demo<S>; 8] {
    [
        Demo {
            name: "pat",
            title: "a personal access token",
            run: pat,
        },
        Demo {
            name: "sat",
            title: "a service access token",
            run: sat,
        },
        Demo {
            name: "web",
            title: "authorization code with a client secret",
            run: web,
        },
        Demo {
            name: "pkce",
            title: "authorization code with a code verifier",
            run: pkce,
        },
        Demo {
            name: "device",
            title: "device code, approved while the program polls",
            run: device,
        },
        Demo {
            name: "jwt",
            title: "a signed assertion",
            run: jwt,
        },
        Demo {
            name: "workload",
            title: "a project on Coze's coding platform",
            run: workload,
        },
        Demo {
            name: "refresh",
            title: "a refresh token, which rotates",
            run: refresh,
        },
    ]
}

fn main() -> ExitCode {
    let only = std::env::args().nth(1);
    let names = demos::<subjects::Ureq>().map(|demo| demo.name);
    if only
        .as_ref()
        .is_some_and(|only| !names.contains(&only.as_str()))
    {
        eprintln!("cargo demo [{}]", names.join("|"));
        return ExitCode::from(2);
    }
    println!("Every Coze credential and flow, against a mock Coze auth server in this process.");
    println!(
        "Secrets are masked. Time is virtual: client and server share a clock. Each flow has a server of its own."
    );
    let rows = [
        run_all::<subjects::Reqwest>("reqwest", only.as_deref()),
        run_all::<subjects::Ureq>("ureq", only.as_deref()),
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

/// Runs every flow over one adapter, and gives the line of the summary.
fn run_all<S: Subject>(adapter: &str, only: Option<&str>) -> String {
    let mut row = format!("{adapter:<8}");
    for demo in demos::<S>()
        .into_iter()
        .filter(|demo| only.is_none_or(|only| only == demo.name))
    {
        heading(&format!("{adapter} · {}: {}", demo.name, demo.title));
        let fixture = Fixture::new();
        let verdict = match (demo.run)(&fixture) {
            Ok(()) => "ok",
            Err(error) => {
                println!("  FAILED: {error}");
                "FAILED"
            }
        };
        row += &format!("  {} {verdict}", demo.name);
    }
    row
}

fn pat<S: Subject>(fixture: &Fixture<S>) -> Outcome {
    prove(fixture, &fixture.token("pat"))
}

fn sat<S: Subject>(fixture: &Fixture<S>) -> Outcome {
    prove(fixture, &fixture.token("sat"))
}

fn web<S: Subject>(fixture: &Fixture<S>) -> Outcome {
    let grant = web_login(fixture)?;
    prove(fixture, &grant.access_token)
}

fn web_login<S: Subject>(fixture: &Fixture<S>) -> Outcome<TokenGrant> {
    let app = fixture.web();
    let (url, pending) = app.authorize(&fixture.redirect(), fixture.entropy())?;
    let callback = approve(fixture, &url)?;
    Ok(fixture.run(Traced(app.exchange(pending, &callback)?))?)
}

fn pkce<S: Subject>(fixture: &Fixture<S>) -> Outcome {
    let app = fixture.pkce();
    let (url, pending) = app.authorize(&fixture.redirect(), fixture.entropy())?;
    let callback = approve(fixture, &url)?;
    let grant = fixture.run(Traced(app.exchange(pending, &callback)?))?;
    prove(fixture, &grant.access_token)
}

fn device<S: Subject>(fixture: &Fixture<S>) -> Outcome {
    let app = fixture.device();
    let started = fixture.run(Traced(app.start()))?;
    note(&format!(
        "the program shows {} and {}",
        started.user_code,
        masked_url(&started.verification_uri_complete)
    ));
    // Nothing is approved yet: one poll of this kind is shown before the person acts.
    let (mock, code) = (fixture.mock.clone(), started.user_code.clone());
    let approve = move || {
        note("the person approves");
        mock.decide_device(&code, DeviceAction::Approve).is_ok()
    };
    let grant = fixture.run(Traced(trace::then_after_first_answer(
        app.poll(&started),
        approve,
    )))?;
    prove(fixture, &grant.access_token)
}

fn jwt<S: Subject>(fixture: &Fixture<S>) -> Outcome {
    let request = JwtGrant::new().session_name("user-42")?;
    let grant = fixture.run(Traced(fixture.jwt().grant(&request, fixture.entropy())))?;
    prove(fixture, &grant.access_token)
}

fn workload<S: Subject>(fixture: &Fixture<S>) -> Outcome {
    let app = fixture.workload();
    let token = fixture.run(Traced(app.grant()))?.access_token;
    let credential = app.integration(&token, "integration-feishu-base")?;
    let credential = fixture.run(Traced(credential))?;
    note(&format!(
        "the integration's credential has {} characters",
        credential.expose().len()
    ));
    let variables = fixture.run(Traced(app.project_env(&token)?))?;
    note(&format!("the project has {} variables", variables.len()));
    Ok(())
}

fn refresh<S: Subject>(fixture: &Fixture<S>) -> Outcome {
    let app = fixture.web();
    note("after a web login");
    let (url, pending) = app.authorize(&fixture.redirect(), fixture.entropy())?;
    let grant = fixture.run(app.exchange(pending, &fixture.browser(&url, true))?)?;
    let old = grant.refresh_token.ok_or("no refresh token")?;
    let grant = fixture.run(Traced(app.refresh(&old)))?;
    prove(fixture, &grant.access_token)?;
    note("the old refresh token again");
    match fixture.run(Traced(app.refresh(&old))) {
        Ok(_) => Err("a spent refresh token was taken".into()),
        Err(error) => {
            note(&format!("as it must be: {error}"));
            Ok(())
        }
    }
}

/// A token is worth something if it opens the API.
fn prove<S: Subject>(fixture: &Fixture<S>, token: &AccessToken) -> Outcome {
    let user = fixture.run(Traced(whoami(&fixture.endpoints(), token)))?;
    note(&format!("the token speaks for {}", user.user_name));
    Ok(())
}

/// The person's part in a browser, which `POST /_mock/v1/authorize` does without one.
fn approve<S: Subject>(fixture: &Fixture<S>, url: &AuthorizeUrl) -> Outcome<Callback> {
    note(&format!("the person opens {}", masked_url(url.as_str())));
    let back = fixture
        .mock
        .authorize(url.as_str(), true)
        .map_err(|refused| refused.to_string())?;
    note(&format!(
        "approves, and comes back to {}",
        masked_url(&back)
    ));
    Ok(Callback::parse(&back)?)
}
