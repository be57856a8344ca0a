//! Questions 6, 8, 9, 11 and 12: bodies, kinds of tokens, apps of another kind, odd requests, and routes.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::{
    AUTHORIZE_PATH, DEVICE_PATH, JWT_GRANT, LONG, ROUTE, TOKEN_PATH, USERS_ME, get, made_up,
};
use crate::evidence::Run;
use crate::evidence::app::Kind;
use crate::evidence::wire::{Answer, Body, Halt, Sent};

/// Number of bytes of a body beyond the mock's limit of 65536.
const BIG: usize = 70_000;

/// A request that is refused for what it names, and not for its form: a refresh token that nobody has issued.
fn refused(run: &Run<'_>, at: usize) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", "refresh_token".to_owned()),
        ("client_id", run.apps[at].client_id.clone()),
        ("refresh_token", made_up("", 72)),
    ]
}

fn members(pairs: &[(&'static str, String)]) -> Value {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn form(pairs: &[(&'static str, String)]) -> Body {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    Body::form(&pairs)
}

/// Why a right request, or one that is right but for a made-up token, is not a control.
fn excuse(control: &Answer) -> Option<String> {
    let is_of_app = matches!(
        control.code.as_deref(),
        Some("invalid_client" | "unauthorized_client" | "access_deny" | "unsupported_grant_type")
    );
    let why = "the request was refused as it should be, too, for its app; see that the app's file is right, that the app is not deactivated, and that this machine's clock is right";
    control
        .says_nothing("")
        .or_else(|| is_of_app.then(|| why.to_owned()))
}

/// Question 6.
pub(super) fn forms(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "forms and long bodies";
    let all = [Kind::Web, Kind::Pkce, Kind::Device, Kind::Jwt];
    let Some(at) = run.app(&all, part) else {
        return Ok(());
    };
    let sends =
        "one token request as a form, one right one in JSON, and one with a body of 70,000 bytes";
    let spends = "a refresh token of the login made before, which is replaced by a new one if forms are read; an assertion of a JWT app";
    if !run.step(part, 3, sends, spends)? {
        return Ok(());
    }
    let login = run.login();
    let is_jwt = run.apps[at].kind == Kind::Jwt;
    let answer = match login.and_then(|(at, grant)| Some((at, grant.refresh?))) {
        Some((at, refresh)) => {
            let mut pairs = refused(run, at);
            pairs[2].1 = refresh;
            let sent = run.apps[at].token(form(&pairs));
            let answer = run.send(sent)?;
            let kind = run.apps[at].kind;
            if answer.granted() {
                run.keep(kind.name(), kind, &answer);
            }
            answer
        }
        None if is_jwt => {
            let body = Body::form(&[("grant_type", JWT_GRANT)]);
            let sent = run.jwt_grant(at, body)?;
            run.send(sent)?
        }
        None if run.apps[at].kind == Kind::Device => {
            let body = Body::form(&[("client_id", &run.apps[at].client_id)]);
            let sent = run.apps[at].device_code(body);
            run.send(sent)?
        }
        // What a made-up token gets in both forms tells less, and costs nothing.
        None => {
            let pairs = refused(run, at);
            let sent = run.apps[at].token(form(&pairs));
            run.send(sent)?
        }
    };
    let pad = ("pad", "x".repeat(BIG));
    let (control, long) = match is_jwt {
        true => {
            let body = json!({ "grant_type": JWT_GRANT });
            let sent = run.jwt_grant(at, Body::json(&body))?;
            let control = run.send(sent)?;
            let body = json!({ "grant_type": JWT_GRANT, "pad": pad.1 });
            let sent = run.jwt_grant(at, Body::json(&body))?;
            (control, run.send(sent)?)
        }
        false => {
            let mut pairs = refused(run, at);
            let sent = run.apps[at].token(Body::json(&members(&pairs)));
            let control = run.send(sent)?;
            pairs.push(pad);
            let sent = run.apps[at].token(Body::json(&members(&pairs)));
            (control, run.send(sent)?)
        }
    };
    run.seen("a short body", &control);
    let who = run.apps[at].kind.told();
    let form = "a token request as a form";
    if control.granted() {
        run.proven.insert(who);
    }
    if let Some(reason) = &excuse(&control) {
        run.seen(form, &answer);
        run.seen("a body of 70,000 bytes", &long);
        run.not_concluded("forms and long bodies", reason);
        return Ok(());
    }
    if !answer.granted() && answer.is_like(&control) {
        run.seen(form, &answer);
        run.not_concluded(form, "it got what the same request got in JSON, so its form is not what was refused; run it again with a login or a device that you approve");
    } else {
        run.compare("body.json", form, &answer, who);
    }
    let what = "a body of 70,000 bytes";
    match long.is_like(&control) {
        true => {
            run.seen(what, &long);
            let change = "body.limit: remove the rule, or raise its limit (70,000 bytes are read)";
            run.claim(
                who,
                what,
                Some(format!("{what} is read")),
                Some(change.to_owned()),
            );
        }
        false => run.compare("body.limit", what, &long, who),
    }
    Ok(())
}

/// Question 11.
pub(super) fn repeated(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "repeated members";
    let all = [Kind::Web, Kind::Pkce, Kind::Device, Kind::Jwt];
    let Some(at) = run.app(&all, part) else {
        return Ok(());
    };
    let sends =
        "a token request that is right but for a made-up token, and the same with a member twice";
    if run.step(part, 2, sends, "an assertion of a JWT app; else nothing")? {
        let (control, twice) = match run.apps[at].kind {
            Kind::Jwt => {
                let once = format!(r#"{{"grant_type":"{JWT_GRANT}","duration_seconds":900}}"#);
                let sent = run.jwt_grant(at, Body::Json(once))?;
                let control = run.send(sent)?;
                let twice = format!(
                    r#"{{"grant_type":"{JWT_GRANT}","duration_seconds":900,"duration_seconds":900}}"#
                );
                let sent = run.jwt_grant(at, Body::Json(twice))?;
                (control, run.send(sent)?)
            }
            _ => {
                let once = members(&refused(run, at)).to_string();
                let id = Value::from(run.apps[at].client_id.as_str());
                let twice = once.replacen('{', &format!(r#"{{"client_id":{id},"#), 1);
                let sent = run.apps[at].token(Body::Json(once));
                let control = run.send(sent)?;
                let sent = run.apps[at].token(Body::Json(twice));
                (control, run.send(sent)?)
            }
        };
        run.seen("each member once", &control);
        let (what, kind) = ("a repeated member", run.apps[at].kind);
        if control.granted() {
            run.proven.insert(kind.told());
        }
        match (excuse(&control), twice.is_like(&control)) {
            (Some(why), _) => {
                run.seen("a member twice", &twice);
                run.not_concluded(what, &why);
            }
            (None, true) => {
                run.seen("a member twice", &twice);
                let change = "param.once: remove the rule, or let it be switched (the service does not hold it)";
                run.claim(
                    kind.told(),
                    what,
                    Some(format!("{what} is accepted")),
                    Some(change.to_owned()),
                );
            }
            (None, false) => run.compare("param.once", what, &twice, kind.told()),
        }
        if kind != Kind::Jwt {
            run.unknown_refresh.insert(kind, control);
        }
    }
    authorize(run)
}

/// An authorize request without a person: how it begins.
fn page(run: &mut Run<'_>, pairs: &[(&str, &str)]) -> Result<Answer, Halt> {
    let mut query = form_urlencoded::Serializer::new(format!("{AUTHORIZE_PATH}?"));
    // The serializer puts an ampersand where the text does not end in a question mark.
    let to = query.extend_pairs(pairs).finish().replacen("?&", "?", 1);
    run.send(Sent {
        method: "GET",
        to: &to,
        authorization: None,
        body: Body::None,
    })
}

fn authorize(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "odd authorize requests";
    let Some(at) = run.app(&[Kind::Web, Kind::Pkce], part) else {
        return Ok(());
    };
    let app = &run.apps[at];
    let (kind, id) = (app.kind, app.client_id.clone());
    let Some(uri) = app.redirect_uri.clone() else {
        run.not_asked(format!(
            "{part}: needs a redirect URI that is registered with the app: --redirect-uri"
        ));
        return Ok(());
    };
    let sends = "four authorize requests without a browser: a right one, one with state twice, one whose redirect URI has a fragment, and of a web app one with a PKCE challenge";
    if !run.step(part, 4, sends, "nothing: nobody opens the page")? {
        return Ok(());
    }
    let (state, challenge) = (made_up("", 43), made_up("", 43));
    let with_fragment = format!("{uri}#fragment");
    let mut right = vec![
        ("response_type", "code"),
        ("client_id", &*id),
        ("redirect_uri", &*uri),
        ("state", &*state),
    ];
    let proof = [
        ("code_challenge", &*challenge),
        ("code_challenge_method", "S256"),
    ];
    if kind == Kind::Pkce {
        right.extend(proof);
    }
    let control = page(run, &right)?;
    run.seen("a right authorize request", &control);
    if !control.is_redirect {
        run.not_asked(format!("{part}: even a right one does not begin with a redirect, so others cannot be told from it"));
        return Ok(());
    }
    run.means("a redirect alone does not show that the page behind it accepts the request; what is refused at once, is refused");
    let mut twice = right.clone();
    twice.push(("state", &*state));
    let answer = page(run, &twice)?;
    run.compare_page(
        "param.once",
        "a repeated parameter of an authorize request",
        &answer,
    );
    let mut odd = right.clone();
    odd[2].1 = &*with_fragment;
    let answer = page(run, &odd)?;
    run.compare_page(
        "authorize.redirect_uri_form",
        "a redirect URI with a fragment",
        &answer,
    );
    if kind == Kind::Web {
        right.extend(proof);
        let answer = page(run, &right)?;
        run.seen("a PKCE challenge of a web app", &answer);
        match answer.is_redirect {
            true => run.means("a PKCE challenge of a web app is not refused at once"),
            false if !(400..500).contains(&answer.status) => run.not_concluded(
                "a PKCE challenge of a web app",
                "the answer is not a refusal; run it again later",
            ),
            false => {
                run.means("a PKCE challenge of a web app is refused");
                run.changes(
                    "protocol §13.2: a challenge of a web app is refused (the mock allows it)",
                );
            }
        }
    } else {
        run.not_asked("a PKCE challenge of a web app: needs a web app");
    }
    Ok(())
}

/// What is told of an answer of the API.
fn opens(answer: &Answer) -> String {
    match (&answer.code, answer.granted()) {
        (_, true) => "is accepted".to_owned(),
        (Some(code), _) => format!("gets {} {}", answer.status, super::super::words::code(code)),
        (None, _) => format!("gets {} and no code", answer.status),
    }
}

/// The access tokens that the run has: what each is, and the token.
fn tokens(run: &Run<'_>) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    all.extend(
        run.service_token
            .clone()
            .map(|own| ("a token of the JWT grant", own)),
    );
    all.extend(
        run.login()
            .map(|(_, grant)| ("a token of a login", grant.access)),
    );
    all.extend(
        run.variables
            .get("token")
            .cloned()
            .map(|own| ("COZE_API_TOKEN", own)),
    );
    all
}

/// Question 8.
pub(super) fn users_me(run: &mut Run<'_>) -> Result<(), Halt> {
    let tokens = tokens(run);
    let part = "tokens at /v1/users/me";
    let sends =
        "GET /v1/users/me with a made-up token, and with each kind of token that this run has";
    if !run.step(part, 4, sends, "nothing")? {
        return Ok(());
    }
    let rubbish = made_up("czu_", 65);
    let made_up = run.send(get(USERS_ME, &rubbish))?;
    let mut of_service = None;
    for (what, token) in &tokens {
        let answer = run.send(get(USERS_ME, token))?;
        run.seen(&format!("{what} at /v1/users/me"), &answer);
        run.means(format!("{what} {}", opens(&answer)));
        if answer.granted() {
            run.proven.insert(ROUTE);
        }
        if *what == "a token of the JWT grant" {
            of_service = Some(answer);
        }
    }
    let what = "a made-up token at /v1/users/me";
    match made_up.code.as_deref() {
        Some("4101") => {
            run.seen(what, &made_up);
            run.not_concluded(
                what,
                "4101 is about permissions, and a made-up token has none",
            );
        }
        _ => run.compare("token.known", what, &made_up, ROUTE),
    }
    if let Some(answer) = of_service.filter(|answer| !answer.granted()) {
        let what = "tokens of the JWT grant";
        if answer.code.as_deref() == Some("4101") {
            run.not_concluded(what, "4101 says that the app lacks a permission: give the JWT app that of users in the console, and run it again");
        } else if run.speaks("", what, &answer) {
            let change =
                "protocol §10: tokens of the JWT grant are refused (the mock accepts them)";
            run.claim(ROUTE, what, None, Some(change.to_owned()));
        }
    }
    if run.service_token.is_none() {
        run.not_asked("czs_ tokens: needs a JWT app");
    }
    Ok(())
}

/// Question 12.
pub(super) fn routes(run: &mut Run<'_>) -> Result<(), Halt> {
    const ROUTES: [(&str, &str); 3] = [
        ("GET", "/v1/users/me"),
        ("GET", "/v1/workspaces?page_num=1&page_size=1"),
        ("POST", "/v3/chat"),
    ];
    let mut tokens = tokens(run);
    // The console's own, which may lack a permission, tells more than a second one of a login.
    if tokens.len() > 2 {
        tokens.remove(1);
    }
    let part = "routes";
    let sends = "a made-up token, and up to two tokens that this run has, at /v1/users/me, /v1/workspaces and /v3/chat (without a bot, so that nothing begins)";
    if !run.step(part, 9, sends, "nothing")? {
        return Ok(());
    }
    tokens.insert(0, ("a made-up token", made_up("czu_", 65)));
    let mut is_forbidden = false;
    let mut answers = Vec::new();
    for (what, token) in &tokens {
        for (method, path) in ROUTES {
            let answer = run.send(Sent {
                method,
                to: path,
                authorization: super::bearer(token),
                body: match method {
                    "POST" => Body::Json("{}".to_owned()),
                    _ => Body::None,
                },
            })?;
            let route = path.split('?').next().unwrap_or_default();
            let what = format!("{what} at {route}");
            run.seen(&what, &answer);
            run.means(format!("{what} {}", opens(&answer)));
            answers.push((route, what, answer));
        }
    }
    // A code says what it is about if the other tokens get another answer at the same route.
    let (of_made_up, of_others) = answers.split_at(ROUTES.len());
    for (route, what, answer) in of_made_up {
        let mut others = of_others.iter().filter(|(own, ..)| own == route);
        let is_about_token = matches!(answer.code.as_deref(), Some("4100" | "700012006"));
        if !is_about_token || !run.speaks("token.known", what, answer) {
            continue;
        }
        match others.any(|(.., other)| other.says_nothing("").is_none() && !other.is_like(answer)) {
            true => {
                if let Some(change) = run.table.change("token.known", answer) {
                    run.changes(change);
                }
            }
            false => run.not_concluded(what, "no token of this run got another answer there, so the address or the region may be what is refused; run it again with a login, or with COZE_API_TOKEN and --api-token"),
        }
    }
    for (route, what, answer) in of_others {
        if answer.code.as_deref() != Some("4101") || !run.speaks("token.permission", what, answer) {
            continue;
        }
        let mut made_up = of_made_up.iter().filter(|(own, ..)| own == route);
        match made_up.any(|(.., other)| other.says_nothing("").is_none() && !other.is_like(answer))
        {
            true => {
                is_forbidden = true;
                if let Some(change) = run.table.change("token.permission", answer) {
                    run.changes(change);
                }
            }
            false => run.not_concluded(
                what,
                "a made-up token gets the same there, so the permission may not be the reason",
            ),
        }
    }
    if !is_forbidden {
        run.not_asked(
            "4101: no token of this run lacks a permission; set COZE_API_TOKEN to one without any, and say --api-token",
        );
    }
    Ok(())
}

/// Question 9.
pub(super) fn denied(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "unknown grants and apps of another kind";
    let all = [Kind::Web, Kind::Pkce, Kind::Device, Kind::Jwt];
    let Some(at) = run.app(&all, part) else {
        return Ok(());
    };
    let (kind, id) = (run.apps[at].kind, run.apps[at].client_id.clone());
    let sends = "a token request with the grant type password and without a password, and one of a flow that is not this app's";
    if run.step(part, 2, sends, "nothing")? {
        let body = json!({ "grant_type": "password", "client_id": id });
        let sent = run.apps[at].token(Body::json(&body));
        run.probe(
            "grant.supported",
            "an unknown grant type",
            sent,
            kind.told(),
        )?;
        let sent = match kind {
            Kind::Device => run.apps[at].token(Body::json(&json!({
                "grant_type": "authorization_code",
                "client_id": id,
                "redirect_uri": "http://localhost/callback",
                "code": made_up("code_", 40),
            }))),
            _ => Sent {
                method: "POST",
                to: DEVICE_PATH,
                authorization: None,
                body: Body::json(&json!({ "client_id": id })),
            },
        };
        run.probe("client.kind", "an app of another kind", sent, kind.told())?;
    }
    run.not_asked("internal_error: nobody can provoke it");
    let part = "a deactivated app";
    if !run.long {
        run.not_asked(format!("{part}: {LONG}"));
        return Ok(());
    }
    let sends =
        "you deactivate the app in the console; one token request is sent; you activate it again";
    let spends = "the app does not work for anybody while it is deactivated";
    if !run.step(part, 1, sends, spends)? {
        return Ok(());
    }
    let name = kind.told();
    if !run.person.does(&format!(
        "Deactivate the {name} app in Coze's console, and wait some seconds."
    )) {
        run.not_asked(format!("{part}: nobody deactivated it"));
        return Ok(());
    }
    let sent = match kind {
        Kind::Jwt => run.jwt_grant(at, Body::json(&json!({ "grant_type": JWT_GRANT })))?,
        Kind::Device => {
            let body = json!({ "client_id": id });
            run.apps[at].device_code(Body::json(&body))
        }
        Kind::Web | Kind::Pkce => {
            let pairs = refused(run, at);
            Sent {
                to: TOKEN_PATH,
                ..run.apps[at].token(Body::json(&members(&pairs)))
            }
        }
    };
    let answer = run.send(sent);
    let _ = run.person.does(&format!("Activate the {name} app again."));
    let (what, answer) = ("a deactivated app", answer?);
    let usual = run.unknown_refresh.get(&kind);
    let why = match (kind, usual) {
        _ if answer.granted() => {
            "the app still worked: it was not deactivated, or not yet; run it again, and wait for longer"
        }
        (Kind::Web | Kind::Pkce, None) => {
            "what the active app gets for the same request was not asked; run it again with questions 2 and 11"
        }
        (Kind::Web | Kind::Pkce, Some(usual)) if usual.is_like(&answer) => {
            "it got what the active app gets: it was not deactivated, or not yet; run it again, and wait for longer"
        }
        _ => {
            run.compare("client.enabled", what, &answer, kind.told());
            return Ok(());
        }
    };
    run.seen(what, &answer);
    run.not_concluded(what, why);
    Ok(())
}
