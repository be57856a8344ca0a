//! Questions 15 to 22: workload identity, with the variables of a project on Coze's coding platform.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use url::Url;

use super::{LONG, ROUTE, USERS_ME, WORKLOAD, get, made_up};
use crate::evidence::Run;
use crate::evidence::wire::{Answer, Body, Halt, Sent};

const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// Minutes after which an id token is exchanged.
const MINUTES: [u64; 3] = [1, 10, 60];
/// The mock's life of an id token, in minutes (protocol §13.2).
const LIFE: u64 = 10;
/// Claims whose names mean the same for everybody (RFC 7519 §4.1, OpenID Connect Core §2).
const CLAIMS: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "azp",
    "nonce",
    "scope",
    "act",
    "client_id",
    "tenant_id",
    "account_id",
    "user_id",
    "workspace_id",
];

/// What a workload has been given.
#[derive(Default)]
pub(in crate::evidence) struct Workload {
    id_token: Option<String>,
    access_token: Option<String>,
}

/// A workload's four settings; else what is missing is noted.
struct Settings {
    id: String,
    secret: String,
    identity: String,
    access: String,
}

fn settings(run: &mut Run<'_>) -> Option<Settings> {
    let get = |name: &str| run.variables.get(name).cloned();
    let all = (
        get("client_id"),
        get("client_secret"),
        get("identity_endpoint"),
        get("access_endpoint"),
    );
    if let (Some(id), Some(secret), Some(identity), Some(access)) = all {
        return Some(Settings {
            id,
            secret,
            identity,
            access,
        });
    }
    run.not_asked("needs the variables COZE_WORKLOAD_… of a project on the coding platform");
    None
}

fn post(to: &str, body: Body) -> Sent<'_> {
    Sent {
        method: "POST",
        to,
        authorization: None,
        body,
    }
}

fn w1(own: &Settings) -> Sent<'_> {
    w1_of(own, &own.id, &own.secret)
}

fn w1_of<'a>(own: &'a Settings, id: &str, secret: &str) -> Sent<'a> {
    let members = [
        ("client_id", id),
        ("client_secret", secret),
        ("grant_type", "client_credentials"),
    ];
    post(&own.identity, Body::form(&members))
}

fn w2<'a>(own: &'a Settings, id_token: &str) -> Sent<'a> {
    let members = [
        ("client_id", own.id.as_str()),
        ("subject_token", id_token),
        ("subject_token_type", ID_TOKEN),
        ("grant_type", EXCHANGE),
    ];
    post(&own.access, Body::form(&members))
}

/// The names of an answer's members, those of the protocol alone.
fn names(answer: &Answer) -> String {
    const KNOWN: [&str; 8] = [
        "access_token",
        "expires_in",
        "token_type",
        "issued_token_type",
        "id_token",
        "refresh_token",
        "scope",
        "error",
    ];
    known(answer.body.as_object(), &KNOWN)
}

fn known(members: Option<&Map<String, Value>>, known: &[&str]) -> String {
    let all = members.map_or(0, Map::len);
    let mut told: Vec<_> = members
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .filter(|name| known.contains(name))
        .collect();
    told.sort_unstable();
    match all - told.len() {
        0 => told.join(", "),
        others => format!("{} and {others} others", told.join(", ")),
    }
}

/// What `expires_in` is.
fn life(run: &Run<'_>, answer: &Answer) -> String {
    let now = answer.date.and_then(|date| u64::try_from(date).ok());
    let now = now.unwrap_or_else(|| run.clock.unix().as_secs());
    match &answer.body["expires_in"] {
        Value::Null => "absent or null".to_owned(),
        Value::String(_) => "a text".to_owned(),
        value => match value.as_u64() {
            Some(at @ 1_000_000_000..) => {
                format!("a moment, {} s from now", at.saturating_sub(now))
            }
            Some(seconds) => format!("a duration of {seconds} s"),
            None => "not a whole number".to_owned(),
        },
    }
}

/// A refusal of the workload or of its access token.
fn is_of_client(answer: &Answer) -> bool {
    matches!(
        answer.code.as_deref(),
        Some(
            "invalid_client"
                | "unauthorized_client"
                | "access_deny"
                | "4100"
                | "4101"
                | "700012006"
        )
    )
}

/// Question 15.
pub(super) fn answers(run: &mut Run<'_>) -> Result<(), Halt> {
    let Some(own) = settings(run) else {
        return Ok(());
    };
    let sends = "the workload's two requests, W1 with its id and secret and W2 with the id token";
    if !run.step(
        "a workload's answers",
        2,
        sends,
        "nothing; they make an id token and an access token",
    )? {
        return Ok(());
    }
    let first = run.send(w1(&own))?;
    run.seen(&format!("W1, whose members are {}", names(&first)), &first);
    let Some(id_token) = first.text("access_token") else {
        return Err(Halt::Question("W1 gave no id token".to_owned()));
    };
    run.means(format!("expires_in of W1 is {}", life(run, &first)));
    run.workload.id_token = Some(id_token.clone());
    let second = run.send(w2(&own, &id_token))?;
    run.seen(
        &format!("W2, whose members are {}", names(&second)),
        &second,
    );
    let Some(access_token) = second.text("access_token") else {
        return Err(Halt::Question("W2 gave no access token".to_owned()));
    };
    let told = life(run, &second);
    run.means(format!("expires_in of W2 is {told}"));
    if told != "a duration of 900 s" {
        run.changes(format!("protocol §15.3, §15.8 and [ttl] access: expires_in of W2 is {told} (now a duration of 900 s)"));
    }
    run.workload.access_token = Some(access_token);
    run.proven.insert(WORKLOAD);
    Ok(())
}

/// Question 16.
pub(super) fn claims(run: &mut Run<'_>) -> Result<(), Halt> {
    let Some(own) = settings(run) else {
        return Ok(());
    };
    let tokens = [
        ("the id token", run.workload.id_token.clone()),
        ("the access token", run.workload.access_token.clone()),
    ];
    for (what, token) in tokens {
        let Some(token) = token else {
            run.not_asked(format!("{what}: question 15 brought none"));
            continue;
        };
        let parts: Vec<_> = token.split('.').collect();
        let read = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
            serde_json::from_slice::<Map<String, Value>>(&bytes).ok()
        };
        let decoded = match parts[..] {
            [header, claims, _] => read(header).zip(read(claims)),
            _ => None,
        };
        let Some((header, claims)) = decoded else {
            run.means(format!("{what} is not a JWT"));
            run.changes(format!("protocol §15.8: {what} is not a JWT"));
            continue;
        };
        let alg = header
            .get("alg")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let alg = match alg.len() {
            1..=8 if alg.bytes().all(|byte| byte.is_ascii_alphanumeric()) => alg,
            _ => "unknown",
        };
        let time = |name: &str| claims.get(name).and_then(Value::as_i64);
        let life = time("exp")
            .zip(time("iat"))
            .map(|(exp, iat)| exp.saturating_sub(iat));
        let life = life.map_or_else(String::new, |life| format!(", good for {life} s"));
        run.means(format!(
            "{what} is a JWT with alg {alg}, claims {}{life}",
            known(Some(&claims), &CLAIMS)
        ));
    }
    let sends = "two requests for a key set at the origin of W1: /.well-known/openid-configuration and /.well-known/jwks.json";
    if !run.step("a key set", 2, sends, "nothing")? {
        return Ok(());
    }
    let origin = Url::parse(&own.identity)
        .ok()
        .map(|url| url.origin().ascii_serialization());
    let Some(origin) = origin else {
        return Err(Halt::Question("the endpoint of W1 is not a URL".to_owned()));
    };
    let (mut is_there, mut is_failing) = (false, false);
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
    ] {
        let answer = run.send(Sent {
            method: "GET",
            to: &format!("{origin}{path}"),
            authorization: None,
            body: Body::None,
        })?;
        run.seen(path, &answer);
        is_failing |= answer.status >= 500;
        is_there |= answer.body.get("keys").is_some() || answer.body.get("jwks_uri").is_some();
    }
    match is_there {
        true => run.means("there is a key set"),
        false if is_failing => run.not_concluded(
            "a key set",
            "the service or a gateway failed; run it again later",
        ),
        false => run.means("a key set is not at the two usual places"),
    }
    Ok(())
}

/// Question 17.
pub(super) fn refused(run: &mut Run<'_>) -> Result<(), Halt> {
    let Some(own) = settings(run) else {
        return Ok(());
    };
    let sends = "W1 with a made-up id, with a made-up secret, as JSON, and with Basic in the place of the secret; W2 with a made-up id token";
    if !run.step("what W1 and W2 refuse", 5, sends, "nothing")? {
        return Ok(());
    }
    run.probe(
        "workload.client",
        "W1 with a made-up id",
        w1_of(&own, &made_up("", 32), &own.secret),
        WORKLOAD,
    )?;
    run.probe(
        "workload.secret",
        "W1 with a made-up secret",
        w1_of(&own, &own.id, &made_up("", 64)),
        WORKLOAD,
    )?;
    let members = json!({ "client_id": own.id, "client_secret": own.secret, "grant_type": "client_credentials" });
    run.probe(
        "workload.form",
        "W1 as JSON",
        post(&own.identity, Body::json(&members)),
        WORKLOAD,
    )?;
    let pair = STANDARD.encode(format!("{}:{}", own.id, own.secret));
    run.wire.hide(&pair);
    let body = Body::form(&[("client_id", &own.id), ("grant_type", "client_credentials")]);
    let basic = Sent {
        authorization: Some(format!("Basic {pair}")),
        ..post(&own.identity, body)
    };
    let answer = run.send(basic)?;
    run.seen("W1 with Basic", &answer);
    match answer.granted() {
        true => {
            run.means("W1 takes Basic");
            run.changes("protocol §15.2 and workload.secret: text (Basic is taken, too)");
        }
        false => run.means(format!(
            "W1 with Basic is refused with {} {}",
            answer.status,
            answer
                .code
                .as_deref()
                .map_or_else(|| "and no code".to_owned(), super::super::words::code)
        )),
    }
    run.probe(
        "workload.subject_known",
        "W2 with a made-up id token",
        w2(&own, &made_up("", 60)),
        WORKLOAD,
    )?;
    run.not_asked("a foreign id token: needs a second project; an expired one: question 18 shows it, with --long");
    Ok(())
}

/// Question 18.
pub(super) fn lifetime(run: &mut Run<'_>) -> Result<(), Halt> {
    let Some(own) = settings(run) else {
        return Ok(());
    };
    let sends = "W1, and W2 twice with the id token that it gave";
    let part = "a second exchange";
    if !run.step(
        part,
        3,
        sends,
        "nothing; it makes an id token and access tokens",
    )? {
        return Ok(());
    }
    let issued = run.send(w1(&own))?;
    let since = run.clock.handle().steady();
    let Some(id_token) = issued.text("access_token") else {
        run.seen("W1", &issued);
        return Err(Halt::Question("W1 gave no id token".to_owned()));
    };
    for what in ["the id token", "the id token a second time"] {
        let answer = run.send(w2(&own, &id_token))?;
        run.seen(what, &answer);
        match (answer.granted(), what) {
            (true, "the id token") => {}
            (true, _) => run.means("an id token is good more than once"),
            (false, "the id token") => {
                return Err(Halt::Question("W2 gave no access token".to_owned()));
            }
            (false, what) if !run.speaks("", what, &answer) => return Ok(()),
            (false, _) => {
                run.means("an id token is good once");
                run.changes("workload.subject_expiry: text, and a rule that an id token is exchanged once is missing in rules.toml");
                return Ok(());
            }
        }
    }
    if !run.long {
        run.not_asked(format!("its life: needs an hour, and {LONG}"));
        return Ok(());
    }
    let sends = "W2 with the same id token, 1, 10 and 60 minutes after it was issued, up to the first refusal";
    if !run.step(
        "the life of an id token",
        3,
        sends,
        "nothing; it takes up to an hour",
    )? {
        return Ok(());
    }
    let mut alive = 0;
    for minutes in MINUTES {
        let passed = run.clock.handle().steady().saturating_sub(since);
        let left = Duration::from_secs(minutes * 60).saturating_sub(passed);
        run.wait(
            left,
            &format!("the id token is exchanged {minutes} minutes after it was issued"),
        );
        let answer = run.send(w2(&own, &id_token))?;
        run.seen(&format!("an id token after {minutes} minutes"), &answer);
        if answer.granted() {
            alive = minutes;
            continue;
        }
        let what = "the life of an id token";
        if !run.speaks("workload.subject_expiry", what, &answer) {
            return Ok(());
        }
        if is_of_client(&answer) {
            run.not_concluded(what, "the refusal is about the workload and not about its token; see that the project still runs, and run it again");
            return Ok(());
        }
        run.means(format!(
            "an id token lives longer than {alive} and at most {minutes} minutes"
        ));
        if let Some(change) = run.table.change("workload.subject_expiry", &answer) {
            run.changes(change);
        }
        if !(alive < LIFE && LIFE <= minutes) {
            run.changes(format!(
                "[ttl] id_token: more than {} and at most {} (now 600)",
                alive * 60,
                minutes * 60
            ));
        }
        return Ok(());
    }
    run.means("an id token lives longer than 60 minutes");
    run.changes("[ttl] id_token: more than 3600 (now 600)");
    Ok(())
}

fn access_token(run: &mut Run<'_>) -> Option<String> {
    settings(run)?;
    let token = run.workload.access_token.clone();
    if token.is_none() {
        run.not_asked("a workload's access token: question 15 brought none");
    }
    token
}

/// Question 19.
pub(super) fn users_me(run: &mut Run<'_>) -> Result<(), Halt> {
    let Some(token) = access_token(run) else {
        return Ok(());
    };
    if !run.step(
        "a workload's token at the API",
        1,
        "GET /v1/users/me with the workload's access token",
        "nothing",
    )? {
        return Ok(());
    }
    let answer = run.send(get(USERS_ME, &token))?;
    run.seen("a workload's access token at /v1/users/me", &answer);
    match answer.granted() {
        true => run.means("a workload's access token is taken at /v1/users/me, as the mock does"),
        false if answer.code.as_deref() == Some("4101") => run.not_concluded(
            "a workload's access token at /v1/users/me",
            "4101 says that it lacks a permission: give the project that of users, and run it again",
        ),
        false => {
            let what = "a workload's access token at /v1/users/me";
            if run.speaks("", what, &answer) {
                let means = "a workload's access token is refused at /v1/users/me";
                let change = "protocol §15.1: a workload's access token is refused at other API calls (the mock takes it)";
                run.claim(ROUTE, what, Some(means.to_owned()), Some(change.to_owned()));
            }
        }
    }
    Ok(())
}

/// Question 20.
pub(super) fn outbound(run: &mut Run<'_>) -> Result<(), Halt> {
    let Some(token) = access_token(run) else {
        return Ok(());
    };
    let Some(outbound) = run.variables.get("outbound_endpoint").cloned() else {
        run.not_asked("needs COZE_OUTBOUND_AUTH_ENDPOINT");
        return Ok(());
    };
    let outbound = outbound.trim_end_matches('/').to_owned();
    let sends = "W3 with the name of an integration that is not there, and W4, whose variables are counted and not shown";
    if !run.step("W3 and W4", 2, sends, "nothing")? {
        return Ok(());
    }
    let name = json!({ "integration_name": made_up("integration-", 12) });
    let integration = format!("{outbound}/integration");
    let sent = Sent {
        authorization: super::bearer(&token),
        ..post(&integration, Body::json(&name))
    };
    let what = "W3 for an integration that is not there";
    let answer = run.send(sent)?;
    match is_of_client(&answer) {
        true => {
            run.seen(what, &answer);
            run.not_concluded(
                what,
                "the workload's access token is what was refused; run it again in the project",
            );
        }
        false => run.compare("workload.integration", what, &answer, WORKLOAD),
    }
    let answer = run.send(get(&format!("{outbound}/env"), &token))?;
    run.seen("W4", &answer);
    run.means(match (&answer.body["data"]["secrets"], &answer.code) {
        (Value::Array(all), _) => format!("W4 gives {} variables", all.len()),
        (_, Some(code)) => format!(
            "W4 is refused with {} {}",
            answer.status,
            super::super::words::code(code)
        ),
        _ => format!("W4 gets {} and no variables", answer.status),
    });
    run.not_asked("a foreign and a disabled integration: only their owner knows their names; in a deployed app W4 has to be asked there");
    Ok(())
}

/// Question 21.
pub(super) fn elsewhere(run: &mut Run<'_>) -> Result<(), Halt> {
    if settings(run).is_some() {
        let answered = run.workload.access_token.is_some();
        run.not_asked(
            "only you know where this runs: the same pair later, and on another machine, shows it",
        );
        if answered {
            run.means("the pair worked on the machine of this run");
        }
    }
    Ok(())
}

/// Question 22.
pub(super) fn regions(run: &mut Run<'_>) -> Result<(), Halt> {
    let Some(own) = settings(run) else {
        return Ok(());
    };
    let hosts: Vec<_> = [&own.identity, &own.access]
        .iter()
        .filter_map(|url| Some(Url::parse(url).ok()?.host_str()?.to_owned()))
        .collect();
    match hosts.iter().all(|host| host.ends_with(".coze.com")) {
        true => {
            run.saw(format!("W1 is {}, W2 is {}", own.identity, own.access));
            run.means("there is workload identity on .com");
            let change = "protocol §15.1 and WorkloadEndpoints: the URLs of .com";
            run.claim(WORKLOAD, "the URLs of .com", None, Some(change.to_owned()));
        }
        false => run.not_asked("needs the environment of a project on .com; this one is not"),
    }
    Ok(())
}
