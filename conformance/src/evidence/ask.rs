//! What is asked for each question, in the order of the run: what may meet a rate limit, and what takes long, comes last.

mod api;
mod codes;
mod device;
mod jwt;
mod workload;

use coze_auth::core::authorize::RedirectUri;
use coze_auth::loopback;
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::web::WebApp;
use coze_auth_core::{ClientSecret, Endpoints};
use serde_json::{Value, json};

use super::app::{App, Kind};
use super::person::{Visit, Visited};
use super::wire::{Body, Halt, Sent};
use super::{Grant, Run};

pub(super) use self::workload::Workload;

type Ask = fn(&mut Run<'_>) -> Result<(), Halt>;

/// The questions in the order of the run.
pub(super) const ORDER: [(u8, Ask); 22] = [
    (2, codes::refused),
    (13, device::tokens),
    (5, codes::denied),
    (7, jwt::claims),
    (10, jwt::scope),
    (6, api::forms),
    (11, api::repeated),
    (8, api::users_me),
    (12, api::routes),
    (15, workload::answers),
    (16, workload::claims),
    (17, workload::refused),
    (19, workload::users_me),
    (20, workload::outbound),
    (21, workload::elsewhere),
    (22, workload::regions),
    (14, regions),
    (3, device::statuses),
    (4, device::pauses),
    (1, codes::lifetime),
    (18, workload::lifetime),
    (9, api::denied),
];

const TOKEN_PATH: &str = "/api/permission/oauth2/token";
const DEVICE_PATH: &str = "/api/permission/oauth2/device/code";
const AUTHORIZE_PATH: &str = "/api/permission/oauth2/authorize";
const USERS_ME: &str = "/v1/users/me";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Whose right request is one of `/v1/users/me`, with any token.
const ROUTE: &str = "/v1/users/me";
const WORKLOAD: &str = "workload";
const LONG: &str = "is asked with --long alone";

/// What no server has issued: letters and digits.
fn made_up(prefix: &str, length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = vec![0; length];
    // Without randomness it is still made up.
    let _ = getrandom::fill(&mut random);
    let letters = random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    prefix.chars().chain(letters).collect()
}

fn bearer(token: &str) -> Option<String> {
    Some(format!("Bearer {token}"))
}

fn get<'a>(to: &'a str, token: &str) -> Sent<'a> {
    Sent {
        method: "GET",
        to,
        authorization: bearer(token),
        body: Body::None,
    }
}

impl App {
    /// A token request of this app, without the credential of a JWT app.
    fn token(&self, body: Body) -> Sent<'static> {
        Sent {
            method: "POST",
            to: TOKEN_PATH,
            authorization: self.secret.as_deref().and_then(bearer),
            body,
        }
    }

    fn refresh(&self, refresh_token: &str) -> Sent<'static> {
        self.token(Body::json(&json!({
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "refresh_token": refresh_token,
        })))
    }
}

impl Run<'_> {
    /// Opens the consent page of an app.
    fn visit(&mut self, at: usize, approve: bool) -> Result<Visited, Halt> {
        let app = &self.apps[at];
        let wrong = |why: String| Halt::Question(why);
        let uri = app.redirect_uri.clone().ok_or_else(|| {
            wrong("needs a redirect URI that is registered with the app: --redirect-uri".to_owned())
        })?;
        let redirect = RedirectUri::new(uri).map_err(|error| wrong(error.to_string()))?;
        // The page itself, and not the shadow's: a page with scripts and cookies works on its own origin alone. The shadow learns of the
        // code by its exchange.
        let endpoints = Endpoints::custom(&self.base);
        let endpoints = match &self.www {
            Some(www) => endpoints.and_then(|own| own.with_www(www)),
            None => endpoints,
        };
        let endpoints = endpoints.map_err(|error| wrong(error.to_string()))?;
        let id = app.client_id.as_str();
        let app = match app.secret.clone() {
            Some(secret) => ClientSecret::new(secret)
                .and_then(|secret| WebApp::new(endpoints, id, secret))
                .map(loopback::App::from),
            None => PkceApp::new(endpoints, id).map(loopback::App::from),
        };
        let app = app.map_err(|error| wrong(error.to_string()))?;
        let visit = Visit {
            app,
            redirect,
            approve,
        };
        let visited = self.person.visits(&visit, &self.clock);
        if let Visited::Code(exchange) = &visited {
            self.wire.hide(&exchange.code);
            exchange.verifier.iter().for_each(|own| self.wire.hide(own));
        }
        Ok(visited)
    }

    /// The newest grant of a login, and the position of its app.
    fn login(&self) -> Option<(usize, Grant)> {
        let kinds = [Kind::Web, Kind::Pkce, Kind::Device];
        kinds.iter().find_map(|kind| {
            let at = self.apps.iter().position(|app| app.kind == *kind)?;
            Some((at, self.grants.get(kind)?.clone()))
        })
    }
}

/// Question 14: the same run in both regions.
fn regions(run: &mut Run<'_>) -> Result<(), Halt> {
    if run.beside.is_none() {
        run.not_asked("needs an app in the other region: run it there with --json FILE, and here with --beside FILE");
    }
    Ok(())
}

/// What rests on the whole run.
pub(super) fn after_all(run: &mut Run<'_>) {
    device::after_all(run);
    let Some(other) = run.beside.take() else {
        return;
    };
    run.now = 14;
    let empty = Vec::new();
    let others = other["questions"].as_array().unwrap_or(&empty);
    let mut same = 0;
    for at in 0..run.findings.len() {
        let own: Vec<Value> = run.findings[at]
            .means
            .iter()
            .map(|line| line.as_str().into())
            .collect();
        let there = others.get(at).and_then(|row| row["means"].as_array());
        let there = there.cloned().unwrap_or_default();
        if own.is_empty() || there.is_empty() {
            continue;
        }
        match own == there {
            true => same += 1,
            false => {
                let number = at + 1;
                let told = |lines: &[Value]| {
                    let lines: Vec<_> = lines.iter().filter_map(Value::as_str).collect();
                    super::words::lines(&lines)
                };
                run.means(format!(
                    "question {number} differs: here {}; there {}",
                    told(&own),
                    told(&there)
                ));
            }
        }
    }
    run.means(format!(
        "{same} questions have the same answer in both runs"
    ));
}
