//! From a request to its answer and its line in the journal.

use std::time::Instant;

use http::Method;
use http::StatusCode;

use crate::answer::{self, Reply};
use crate::call::{Answer, Call, Incoming, Note, Refusal};
use crate::journal::{JournalEntry, JournalJwt, Outcome};
use crate::metrics::Key;
use crate::rules::Rule;
use crate::world::{Consent, World};
use crate::{authorize, device, leaks, pages, redact, token, users_me};

/// An endpoint of protocol §2.1, with the workspace its path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint<'a> {
    Authorize { workspace: Option<&'a str> },
    Token { jwt_only: bool },
    DeviceCode { workspace: Option<&'a str> },
    UsersMe,
    Unknown,
}

/// What [`Endpoint::name`] gives.
pub(crate) const ENDPOINTS: [&str; 5] =
    ["authorize", "token", "device_code", "users_me", "unknown"];

impl<'a> Endpoint<'a> {
    /// Exact paths: a doubled or trailing slash is another path (protocol §1.4).
    pub(crate) fn of(path: &'a str) -> Self {
        if path == "/v1/users/me" {
            return Self::UsersMe;
        }
        let Some(rest) = path.strip_prefix("/api/permission/oauth2/") else {
            return Self::Unknown;
        };
        let segments: Vec<_> = rest.splitn(5, '/').collect();
        match segments[..] {
            ["authorize"] => Self::Authorize { workspace: None },
            ["token"] => Self::Token { jwt_only: false },
            ["device", "code"] => Self::DeviceCode { workspace: None },
            [_, "", ..] => Self::Unknown,
            ["workspace_id", id, "authorize"] => Self::Authorize {
                workspace: Some(id),
            },
            ["workspace_id", id, "device", "code"] => Self::DeviceCode {
                workspace: Some(id),
            },
            ["account" | "enterprise_id", _, "token"] => Self::Token { jwt_only: true },
            _ => Self::Unknown,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Authorize { .. } => "authorize",
            Self::Token { .. } => "token",
            Self::DeviceCode { .. } => "device_code",
            Self::UsersMe => "users_me",
            Self::Unknown => "unknown",
        }
    }

    const fn method(self) -> &'static str {
        match self {
            Self::Authorize { .. } | Self::UsersMe | Self::Unknown => "GET",
            Self::Token { .. } | Self::DeviceCode { .. } => "POST",
        }
    }

    fn handle(self, call: &mut Call<'_>) -> Result<Answer, Refusal> {
        let path = redact::scrub(&call.request.path);
        call.require(Rule::PathKnown, self != Self::Unknown, || {
            ("a path that Coze serves", path)
        })?;
        let method = call.request.method.clone();
        call.require(Rule::PathMethod, method.as_str() == self.method(), || {
            (self.method(), redact::scrub(method.as_str()))
        })?;
        if let Self::Authorize { workspace } | Self::DeviceCode { workspace } = self {
            Refusal::limit_length("workspace_id", workspace.unwrap_or(""))?;
        }
        match self {
            Self::Authorize { workspace } => authorize::authorize(call, workspace),
            Self::Token { jwt_only } => token::token(call, jwt_only),
            Self::DeviceCode { workspace } => device::start(call, workspace),
            Self::UsersMe | Self::Unknown => users_me::users_me(call),
        }
    }
}

/// Answers `request` and writes it down. `consent` overrides who decides about an authorize
/// request.
pub(crate) fn serve(world: &mut World, request: &Incoming, consent: Option<Consent>) -> Reply {
    let started = Instant::now();
    let now_ms = world.settings.clock.unix_ms();
    let (seq, logid) = world.journal.begin(now_ms);
    let endpoint = Endpoint::of(&request.path);
    let consent = consent.unwrap_or(world.settings.consent);
    let mut call = Call {
        world,
        request,
        now_ms,
        seq,
        logid: logid.clone(),
        endpoint,
        consent,
        note: Note::default(),
    };
    let result = endpoint.handle(&mut call);
    let mut note = call.note;
    leaks::of_request(world, endpoint, request, &mut note);
    world.leaks.note(&mut note.leaks, &logid);

    let (mut reply, error, refusal) = match result {
        Ok(answer) => (answer::success(answer), None, None),
        Err(refusal) => {
            let rules = &world.settings.rules;
            let (status, error, body) = answer::refusal_body(&refusal, rules, &logid);
            let reply = match endpoint {
                Endpoint::Authorize { .. } => pages::refused(status, &error, &refusal, &logid),
                _ => answer::json_reply(status, body.to_string()),
            };
            (reply, Some(error), Some(refusal))
        }
    };
    let rule = refusal.as_ref().map(|refusal| refusal.rule);
    answer::stamp(&mut reply, &logid, rule);
    if reply.status() == StatusCode::METHOD_NOT_ALLOWED {
        answer::allow(&mut reply, endpoint.method());
    }
    log(request, reply.status(), rule, &logid);
    let status = reply.status().as_u16();
    world.counts.count(Key {
        status,
        rule: rule.map_or("", Rule::id),
        endpoint: endpoint.name(),
        grant: note.grant.unwrap_or(""),
    });
    world.journal.push(JournalEntry {
        seq,
        at_ms: now_ms,
        endpoint: endpoint.name(),
        method: redact::scrub(request.method.as_str()),
        path: redact::target(&request.path, request.query.as_deref()),
        headers: redact::headers(&request.headers),
        json: note.json,
        jwt: note
            .jwt
            .map(|(header, payload)| JournalJwt { header, payload }),
        client: note.client,
        grant: note.grant,
        presented: note.presented,
        issued: note.issued,
        leaks: note.leaks,
        outcome: Outcome {
            status,
            error,
            rule: rule.map(Rule::id),
            relaxed: note.relaxed,
            logid,
        },
        elapsed_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        refusal,
        taken: false,
    });
    reply
}

/// One line per request; the query stays out, it holds states and challenges.
fn log(request: &Incoming, status: StatusCode, rule: Option<Rule>, logid: &str) {
    let method = match &request.method {
        known if *known == Method::GET || *known == Method::POST => known.as_str(),
        other => &redact::scrub(other.as_str()),
    };
    tracing::info!(
        method,
        path = redact::scrub(&request.path),
        status = status.as_u16(),
        rule = rule.map(Rule::id),
        logid,
    );
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn paths_are_exact() {
        let with = |workspace| Endpoint::Authorize { workspace };
        let base = "/api/permission/oauth2";
        let is = |path: &str, endpoint| assert_eq!(Endpoint::of(path), endpoint, "{path}");
        is(&format!("{base}/authorize"), with(None));
        is(
            &format!("{base}/workspace_id/ws_a/authorize"),
            with(Some("ws_a")),
        );
        is(
            &format!("{base}/token"),
            Endpoint::Token { jwt_only: false },
        );
        is(
            &format!("{base}/account/1/token"),
            Endpoint::Token { jwt_only: true },
        );
        is(
            &format!("{base}/enterprise_id/v_1/token"),
            Endpoint::Token { jwt_only: true },
        );
        is(
            &format!("{base}/device/code"),
            Endpoint::DeviceCode { workspace: None },
        );
        is(
            &format!("{base}/workspace_id/ws1/device/code"),
            Endpoint::DeviceCode {
                workspace: Some("ws1"),
            },
        );
        is("/v1/users/me", Endpoint::UsersMe);
        for path in [
            "/",
            "/v1/users/me/",
            "//v1/users/me",
            "//api/permission/oauth2/token",
            "/api/permission/oauth2//token",
            "/api/permission/oauth2/token/",
            "/api/permission/oauth2/account//token",
            "/api/permission/oauth2/enterprise_id//token",
            "/api/permission/oauth2/workspace_id//authorize",
            "/api/permission/oauth2/workspace_id//device/code",
            "/api/permission/oauth2/account/1/2/token",
            "/api/permission/oauth2/device//code",
        ] {
            is(path, Endpoint::Unknown);
        }
    }
}
