//! Questions 7 and 10: assertions that differ in one claim each, and a scope.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coze_auth_core::jwt::Signer as _;
use serde_json::{Value, json};

use super::{JWT_GRANT, TOKEN_PATH, made_up};
use crate::evidence::app::{App, Kind};
use crate::evidence::wire::{Answer, Body, Halt, Sent};
use crate::evidence::{CLOCK, Run};

const TEN_YEARS: i64 = 10 * 365 * 24 * 3600;
const DAY: i64 = 24 * 3600;

impl App {
    /// A signed assertion with these claims beside `iss`.
    fn assertion(&self, mut claims: Value) -> Option<String> {
        let (kid, key) = self.key.as_ref()?;
        claims["iss"] = self.client_id.as_str().into();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": kid });
        let input = format!("{}.{}", part(&header), part(&claims));
        let signature = key.sign_rs256(input.as_bytes()).ok()?;
        Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

const JWT: &str = Kind::Jwt.told();

/// What an assertion may differ in from a right one.
struct Claims {
    aud: String,
    /// Seconds from now.
    iat: i64,
    exp: i64,
}

impl Run<'_> {
    fn claims(&self) -> Claims {
        Claims {
            aud: self.audience.clone(),
            iat: 0,
            exp: 600,
        }
    }

    fn assertion(&mut self, at: usize, claims: &Claims) -> Result<String, Halt> {
        let now = i64::try_from(self.clock.unix().as_secs()).unwrap_or(i64::MAX);
        let claims = json!({
            "aud": claims.aud,
            "iat": now.saturating_add(claims.iat),
            "exp": now.saturating_add(claims.exp),
            "jti": made_up("", 40),
        });
        let made = self.apps[at].assertion(claims);
        let made = made.ok_or_else(|| Halt::Question("the key did not sign".to_owned()))?;
        self.wire.hide(&made);
        Ok(made)
    }

    /// A JWT grant with a right assertion and this body.
    pub(super) fn jwt_grant(&mut self, at: usize, body: Body) -> Result<Sent<'static>, Halt> {
        let claims = self.claims();
        let assertion = self.assertion(at, &claims)?;
        Ok(granted_by(&assertion, body))
    }

    fn asks(&mut self, at: usize, claims: &Claims) -> Result<Answer, Halt> {
        let assertion = self.assertion(at, claims)?;
        let answer = self.send(granted_by(&assertion, usual()))?;
        self.keep("jwt", Kind::Jwt, &answer);
        Ok(answer)
    }
}

fn granted_by(assertion: &str, body: Body) -> Sent<'static> {
    Sent {
        method: "POST",
        to: TOKEN_PATH,
        authorization: super::bearer(assertion),
        body,
    }
}

/// Without `duration_seconds`: the service's own default.
fn usual() -> Body {
    Body::json(&json!({ "grant_type": JWT_GRANT }))
}

/// Question 7.
pub(super) fn claims(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "claims of assertions";
    let Some(at) = run.app(&[Kind::Jwt], part) else {
        return Ok(());
    };
    let sends = "up to eleven assertions of the app: a right one, the same again, and others that differ in exp, iat, aud or signature alone";
    let spends = "the assertions; each that is accepted makes a token of 15 minutes, which is not used elsewhere";
    if !run.step(part, 11, sends, spends)? {
        return Ok(());
    }
    let right = run.claims();
    let assertion = run.assertion(at, &right)?;
    let control = run.send(granted_by(&assertion, usual()))?;
    run.keep("jwt", Kind::Jwt, &control);
    run.seen("a right assertion", &control);
    if !control.granted() {
        let why = "the app's right assertion was refused, so nothing follows from others: see that key, key id, client id and region are right, that the app is not deactivated, and that this machine's clock is";
        let clock = match run.ahead {
            Some(ahead) if ahead.abs() > CLOCK => {
                format!(" (it is {} s off the service's)", ahead.abs())
            }
            _ => String::new(),
        };
        return Err(Halt::Question(format!("{why}{clock}")));
    }
    let sent = granted_by(&assertion, usual());
    let again = run.probe("jwt.jti", "the same assertion again", sent, JWT)?;
    run.keep("jwt", Kind::Jwt, &again);

    match run.ahead {
        Some(ahead) if ahead.abs() <= CLOCK => times(run, at)?,
        Some(ahead) => run.not_concluded(
            "exp and iat",
            &format!(
                "this machine's clock is {} s off the service's; set it, and run it again",
                ahead.abs()
            ),
        ),
        None => run.not_concluded(
            "exp and iat",
            "the answers have no Date, so this machine's clock cannot be compared with the service's",
        ),
    }

    let other = match run.audience.rsplit_once(':') {
        Some((host, _)) => host.to_owned(),
        None => format!("{}:443", run.audience),
    };
    let what = match run.audience.contains(':') {
        true => "aud without the port of the base",
        false => "aud with the port of https",
    };
    let answer = run.asks(
        at,
        &Claims {
            aud: other,
            ..run.claims()
        },
    )?;
    run.seen(what, &answer);
    match answer.granted() {
        true => run.means(format!("{what} is accepted, too")),
        false if !run.speaks("", what, &answer) => {}
        false => {
            run.means(format!("{what} is refused"));
            run.changes(format!(
                "jwt.aud: text ({what} is refused; the mock takes both)"
            ));
        }
    }
    let elsewhere = "evidence.invalid".to_owned();
    let answer = run.asks(
        at,
        &Claims {
            aud: elsewhere,
            ..run.claims()
        },
    )?;
    run.compare("jwt.aud", "aud of another host", &answer, JWT);

    let assertion = run.assertion(at, &right)?;
    let (input, signature) = assertion.rsplit_once('.').unwrap_or_default();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    bytes.reverse();
    let assertion = format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));
    let answer = run.probe(
        "jwt.signature",
        "another signature",
        granted_by(&assertion, usual()),
        JWT,
    )?;
    run.keep("jwt", Kind::Jwt, &answer);
    Ok(())
}

/// The claims that rest on this machine's clock.
fn times(run: &mut Run<'_>, at: usize) -> Result<(), Halt> {
    let long = Claims {
        exp: TEN_YEARS,
        ..run.claims()
    };
    let answer = run.asks(at, &long)?;
    let what = "an assertion that lives ten years";
    run.seen(what, &answer);
    if answer.granted() {
        run.means("exp may lie ten years ahead: no limit was met");
    } else if run.speaks("", what, &answer) {
        let day = Claims {
            exp: DAY,
            ..run.claims()
        };
        let answer = run.asks(at, &day)?;
        let what = "an assertion that lives a day";
        run.seen(what, &answer);
        if run.speaks("", what, &answer) {
            run.means(match answer.granted() {
                true => "the longest exp lies between a day and ten years",
                false => "the longest exp is less than a day",
            });
            run.changes(
                "jwt.exp: a rule of the longest exp is missing in rules.toml (the mock has no limit)",
            );
        }
    }

    let ahead = Claims {
        iat: 60,
        exp: 660,
        ..run.claims()
    };
    let answer = run.asks(at, &ahead)?;
    run.seen("iat a minute ahead", &answer);
    match answer.granted() {
        true => run.means("iat may lie a minute ahead"),
        false if !run.speaks("", "iat a minute ahead", &answer) => {}
        false => {
            run.means("iat may not lie a minute ahead");
            run.changes(
                "protocol §5 and rules.toml: a rule that iat does not lie ahead is missing",
            );
        }
    }

    let just = Claims {
        iat: -630,
        exp: -30,
        ..run.claims()
    };
    let answer = run.asks(at, &just)?;
    let what = "an assertion that expired 30 s ago";
    run.compare("jwt.exp", what, &answer, JWT);
    if answer.says_nothing("jwt.exp").is_none() {
        run.means(match answer.granted() {
            true => "skew is allowed for, of at least 30 s",
            false => "skew of 30 s is not allowed for",
        });
    }
    let expired = Claims {
        iat: -7200,
        exp: -3600,
        ..run.claims()
    };
    let answer = run.asks(at, &expired)?;
    run.compare(
        "jwt.exp",
        "an assertion that expired an hour ago",
        &answer,
        JWT,
    );

    let before = Claims {
        iat: 700,
        exp: 600,
        ..run.claims()
    };
    let answer = run.asks(at, &before)?;
    run.compare("jwt.exp_after_iat", "exp before iat", &answer, JWT);
    Ok(())
}

/// Question 10.
pub(super) fn scope(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "a scope";
    let Some(at) = run.app(&[Kind::Jwt], part) else {
        return Ok(());
    };
    let sends = "a JWT grant with a scope that allows chats with one bot that is not there";
    if !run.step(
        part,
        1,
        sends,
        "an assertion; a token of 15 minutes, if it is accepted",
    )? {
        return Ok(());
    }
    let body = json!({
        "grant_type": JWT_GRANT,
        "scope": {
            "account_permission": { "permission_list": ["Connector.botChat"] },
            "attribute_constraint": { "connector_bot_chat_attribute": { "bot_id_list": ["1"] } },
        },
    });
    let sent = run.jwt_grant(at, Body::json(&body))?;
    let answer = run.send(sent)?;
    run.seen("a JWT grant with a scope", &answer);
    run.keep("jwt", Kind::Jwt, &answer);
    match answer.granted() {
        true => {
            run.means("a scope is not refused for this app (whether it is heeded was not asked)")
        }
        false if !run.speaks("", "a JWT grant with a scope", &answer) => {}
        false => run.claim(
            JWT,
            "a JWT grant with a scope",
            Some("a scope is refused for this app".to_owned()),
            Some("protocol §6, and a rule about an app that is not a channel is missing in rules.toml: status and code as seen".to_owned()),
        ),
    }
    Ok(())
}
