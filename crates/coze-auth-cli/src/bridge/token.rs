//! The token endpoint and the device authorization endpoint: a form for Coze's JSON, and a duration for its moment.

use std::time::Duration;

use coze_auth::authorize::{Callback, PendingAuthorization};
use coze_auth::device::DeviceApp;
use coze_auth::endpoint::WorkspaceId;
use coze_auth::error::ConfigError;
use coze_auth::jwt::JwtGrant;
use coze_auth::pkce::PkceApp;
use coze_auth::scope::Scope;
use coze_auth::secret::DeviceCode;
use coze_auth::tokens::tokio::Transport as _;
use coze_auth::web::WebApp;
use coze_auth::{ClientSecret, RefreshToken, TokenGrant, UnixTime, entropy};
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::Shared;
use super::form::{ClientAuth, Form};
use super::metadata::DEVICE_CODE;
use super::refusal::Refusal;
use super::routes::{Reply, json};
use super::upstream::Upstream;

/// RFC 6749 §5.1.
#[derive(Serialize)]
struct Issued<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// RFC 8628 §3.2.
#[derive(Serialize)]
struct DeviceStarted<'a> {
    device_code: &'a str,
    user_code: &'a str,
    verification_uri: &'a str,
    verification_uri_complete: &'a str,
    expires_in: u64,
    interval: u64,
}

/// A value of the client's that cannot be one.
fn bad(error: &ConfigError) -> Refusal {
    Refusal::invalid(error.to_string())
}

/// The grant types that the log names.
pub(super) fn shown(form: &Form) -> &'static str {
    match form.get("grant_type") {
        Some("authorization_code") => "authorization_code",
        Some("refresh_token") => "refresh_token",
        Some(DEVICE_CODE) => "device_code",
        Some("client_credentials") => "client_credentials",
        _ => "",
    }
}

/// # Errors
///
/// Those of RFC 6749 §5.2 and RFC 8628 §3.5.
pub(super) async fn reply(
    shared: &Shared,
    upstream: &Upstream<'_>,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Reply, Refusal> {
    let grant_type = form.need("grant_type")?;
    let grant = match grant_type {
        "authorization_code" => {
            code(shared, upstream, &person(shared, headers, form)?, form).await?
        }
        "refresh_token" => refresh(shared, upstream, &person(shared, headers, form)?, form).await?,
        DEVICE_CODE => device(shared, upstream, &person(shared, headers, form)?, form).await?,
        "client_credentials" => {
            machine(shared, upstream, &ClientAuth::of(headers, form)?, form).await?
        }
        _ => {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                format!(
                    "the grant types are authorization_code, refresh_token, {DEVICE_CODE} and, for configured clients, client_credentials"
                ),
            ));
        }
    };
    Ok(issued(&grant, upstream.time().now().unix))
}

fn issued(grant: &TokenGrant, now: UnixTime) -> Reply {
    json(
        StatusCode::OK,
        &Issued {
            access_token: grant.access_token.expose(),
            token_type: "Bearer",
            expires_in: seconds_left(grant, now),
            refresh_token: grant.refresh_token.as_ref().map(RefreshToken::expose),
        },
    )
}

/// How long the access token still lives, by Coze's clock where ours is known to be off. At least a second: some libraries take 0
/// for "without an end". At most what 32 bits hold, which others read it into.
fn seconds_left(grant: &TokenGrant, now: UnixTime) -> u64 {
    let ahead = grant.clock_skew.map_or(0, |skew| skew.as_secs());
    let by = Duration::from_secs(ahead.unsigned_abs());
    let now = if ahead < 0 {
        now.plus(by)
    } else {
        now.minus(by)
    };
    grant.remaining(now).as_secs().clamp(1, i32::MAX as u64)
}

fn secret(client: &ClientAuth) -> Result<Option<ClientSecret>, Refusal> {
    let secret = client
        .secret
        .as_ref()
        .map(|secret| ClientSecret::new(secret.as_str()));
    secret
        .transpose()
        .map_err(|error| Refusal::client(error.to_string()))
}

/// The client of a person's login: an app of Coze's. The secret of a configured client is not Coze's to know.
fn person(shared: &Shared, headers: &HeaderMap, form: &Form) -> Result<ClientAuth, Refusal> {
    let client = ClientAuth::of(headers, form)?;
    let secret = client.secret.as_ref().map(|secret| secret.as_str());
    let machines = shared.machines.as_ref();
    if machines.is_some_and(|machines| machines.app(&client.id, secret).is_ok()) {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "unauthorized_client",
            "this client is one of the file --machine-clients, and has client_credentials alone",
        ));
    }
    Ok(client)
}

/// A web app has a secret, a PKCE app has none. PKCE is allowed to both.
async fn code(
    shared: &Shared,
    upstream: &Upstream<'_>,
    client: &ClientAuth,
    form: &Form,
) -> Result<TokenGrant, Refusal> {
    #[derive(Serialize)]
    struct Attempt<'a> {
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        code_verifier: Option<&'a str>,
        redirect_uri: &'a str,
        client_id: &'a str,
        api_base: &'a str,
    }
    /// The client has compared its own; what is compared here is what was written a line before.
    const STATE: &str = "of-the-client";
    let code = form.need("code")?;
    let attempt = Attempt {
        state: STATE,
        code_verifier: form.get("code_verifier"),
        redirect_uri: form.need("redirect_uri")?,
        client_id: &client.id,
        api_base: shared.endpoints.api_base(),
    };
    let secret = secret(client)?;
    if secret.is_none() && attempt.code_verifier.is_none() {
        return Err(Refusal::invalid(
            "the request has neither a client secret nor a code_verifier: a web app of Coze's console has a secret, and a client without \
             one uses PKCE (RFC 7636)",
        ));
    }
    let attempt = Zeroizing::new(serde_json::to_string(&attempt).unwrap_or_default());
    let attempt = PendingAuthorization::from_secret_json(&attempt).map_err(|error| bad(&error))?;
    let callback = callback(code, STATE)?;
    let endpoints = shared.endpoints.clone();
    let call = match secret {
        Some(secret) => {
            WebApp::new(endpoints, &*client.id, secret).map(|app| app.exchange(attempt, &callback))
        }
        None => PkceApp::new(endpoints, &*client.id).map(|app| app.exchange(attempt, &callback)),
    };
    let call = call.map_err(|error| Refusal::client(error.to_string()))?;
    let call = call.map_err(|rejected| Refusal::grant(rejected.to_string()))?;
    upstream
        .run(call)
        .await
        .map_err(|error| Refusal::of(&error))
}

/// The callback that the client has received.
fn callback(code: &str, state: &str) -> Result<Callback, Refusal> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("code", code).append_pair("state", state);
    Callback::parse(&Zeroizing::new(query.finish()))
        .map_err(|_| Refusal::grant("the code has a character that no code has"))
}

/// The answer has the old refresh token if Coze's names no new one.
async fn refresh(
    shared: &Shared,
    upstream: &Upstream<'_>,
    client: &ClientAuth,
    form: &Form,
) -> Result<TokenGrant, Refusal> {
    let token = RefreshToken::new(form.need("refresh_token")?)
        .map_err(|error| Refusal::grant(error.to_string()))?;
    let endpoints = shared.endpoints.clone();
    let call = match secret(client)? {
        Some(secret) => WebApp::new(endpoints, &*client.id, secret).map(|app| app.refresh(&token)),
        None => PkceApp::new(endpoints, &*client.id).map(|app| app.refresh(&token)),
    };
    let call = call.map_err(|error| Refusal::client(error.to_string()))?;
    upstream
        .run(call)
        .await
        .map_err(|error| Refusal::of(&error))
}

/// A device app has no secret. One that a library sends all the same goes nowhere.
fn device_app(shared: &Shared, client: &ClientAuth) -> Result<DeviceApp, Refusal> {
    DeviceApp::new(shared.endpoints.clone(), &*client.id)
        .map_err(|error| Refusal::client(error.to_string()))
}

async fn device(
    shared: &Shared,
    upstream: &Upstream<'_>,
    client: &ClientAuth,
    form: &Form,
) -> Result<TokenGrant, Refusal> {
    let code = DeviceCode::new(form.need("device_code")?)
        .map_err(|error| Refusal::grant(error.to_string()))?;
    let call = device_app(shared, client)?.poll_once(&code);
    upstream
        .run(call)
        .await
        .map_err(|error| Refusal::of(&error))
}

/// One signature and one grant for each request: the bridge keeps no token.
async fn machine(
    shared: &Shared,
    upstream: &Upstream<'_>,
    client: &ClientAuth,
    form: &Form,
) -> Result<TokenGrant, Refusal> {
    let Some(machines) = &shared.machines else {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "this bridge gives no machine tokens: start it with --machine-clients, and with the key of a JWT app",
        ));
    };
    let app = machines.app(
        &client.id,
        client.secret.as_ref().map(|secret| secret.as_str()),
    )?;
    let mut grant = JwtGrant::new();
    if let Some(name) = form.get("session_name") {
        grant = grant.session_name(name).map_err(|error| bad(&error))?;
    }
    if let Some(seconds) = form.get("duration_seconds") {
        // What is not a number is out of the range, too.
        let seconds = seconds.parse().unwrap_or(0);
        grant = grant
            .ttl(Duration::from_secs(seconds))
            .map_err(|error| bad(&error))?;
    }
    if let Some(scope) = form.get("scope") {
        grant = grant.scope(Scope::new().account(scope.split_ascii_whitespace()));
    }
    let entropy = entropy().map_err(|error| Refusal::of(&error))?;
    let call = app.grant(&grant, entropy);
    upstream
        .run(call)
        .await
        .map_err(|error| Refusal::of(&error))
}

/// RFC 8628 §3.1. The page that the answer names is Coze's own: the person may be at another machine, where the bridge is not.
///
/// # Errors
///
/// Those of RFC 6749 §5.2.
pub(super) async fn device_authorization(
    shared: &Shared,
    upstream: &Upstream<'_>,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Reply, Refusal> {
    let app = device_app(shared, &ClientAuth::of(headers, form)?)?;
    let call = match form.get("workspace_id") {
        Some(id) => app.start_in(&WorkspaceId::new(id).map_err(|error| bad(&error))?),
        None => app.start(),
    };
    let started = upstream
        .run(call)
        .await
        .map_err(|error| Refusal::of(&error))?;
    Ok(json(
        StatusCode::OK,
        &DeviceStarted {
            device_code: started.device_code.expose(),
            user_code: &started.user_code,
            verification_uri: &started.verification_uri,
            verification_uri_complete: &started.verification_uri_complete,
            expires_in: started.expires_in.as_secs(),
            interval: started.interval.as_secs(),
        },
    ))
}
