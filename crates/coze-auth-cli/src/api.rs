//! `api`: a request to Coze's API with a valid token.

use std::fs;
use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;
use std::time::Duration;

use coze_auth::blocking::ureq::tls::{RootCerts, TlsConfig};
use coze_auth::blocking::ureq::{Agent, Proxy};
use coze_auth::error::holds_secret;
use coze_auth::http::header::{CONTENT_TYPE, HeaderMap};
use coze_auth::http::{Method, Request, Uri};
use coze_auth::rejection::is_json;
use coze_auth::tokens::proxies;
use serde::Deserialize;

use crate::Common;
use crate::credential::Credential;
use crate::failure::{Failure, Kind};
use crate::output;

/// Send a request to Coze's API with a valid token, and print the body of the answer
///
/// The token goes to the API of its login alone (that of a workload to its outbound endpoint, too), and no redirect is followed. The exit status is 1 if the status of the answer is 400
/// or more, or if its JSON has a code other than 0, which is how Coze refuses; the body is printed all the same. On a terminal control
/// characters of the body are escaped.
///
/// Example: coze-auth api GET /v1/users/me
#[derive(Debug, clap::Args)]
pub(crate) struct Api {
    /// GET, POST, PUT, DELETE …
    #[arg(value_parser = method)]
    method: Method,
    /// A path, such as /v1/users/me, or a whole URL of the API
    path: String,
    /// File with the JSON to send; - is standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

fn method(text: &str) -> Result<Method, String> {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    let method = known
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(text));
    method.ok_or_else(|| "one of GET, HEAD, POST, PUT, PATCH, DELETE".to_owned())
}

impl Api {
    pub(crate) fn run(&self, common: &Common) -> Result<(), Failure> {
        let body = self.input()?;
        let credential = Credential::open(common.profile.as_ref())?;
        let uri = self.uri(credential.endpoints.api_base())?;
        let agent = agent(&uri)?;
        let mut request = Request::builder().method(&self.method).uri(uri);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.unwrap_or_default()).map_err(not_a_path)?;
        let answer = credential.send(&agent, request)?;
        // Before its body, which may stream for long.
        credential.close()?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let said = print(answer.into_body().into_reader(), &headers)?;
        let log_id = headers.get("x-tt-logid").and_then(|id| id.to_str().ok());
        let refused = match (status.as_u16(), said) {
            (400.., Some(code)) if code != 0 => format!("with status {status} and code {code}"),
            (400.., _) => format!("with status {status}"),
            (300..400, _) => format!("with a redirect ({status}), which is not followed"),
            (_, Some(code)) if code != 0 => format!("with code {code}"),
            _ => return Ok(()),
        };
        let mut told = format!("the API answered {refused}");
        if let Some(log_id) = log_id {
            told = format!("{told} [log id {log_id}]");
        }
        Err(Failure::new(Kind::Other, told))
    }

    fn input(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(path) = &self.input else {
            return Ok(None);
        };
        let mut body = Vec::new();
        let read = match path.as_os_str() == "-" {
            true => io::stdin().read_to_end(&mut body).map(|_| body),
            false => fs::read(path),
        };
        let body = read.map_err(|error| {
            let told = match holds_secret(&path.to_string_lossy()) {
                true => format!("what --input names is not a file: {error}"),
                false => format!("{} cannot be read: {error}", path.display()),
            };
            Failure::new(Kind::Usage, told)
        })?;
        Ok(Some(body))
    }

    fn uri(&self, api_base: &str) -> Result<Uri, Failure> {
        let text = match self.path.starts_with('/') {
            true => format!("{api_base}{}", self.path),
            false => self.path.clone(),
        };
        let uri: Uri = text.parse().map_err(not_a_path)?;
        match uri.scheme().is_some() {
            true => Ok(uri),
            false => Err(not_a_path("it does not begin with a slash")),
        }
    }
}

fn not_a_path(why: impl std::fmt::Display) -> Failure {
    let told =
        format!("the path is neither a path, such as /v1/users/me, nor a URL of the API: {why}");
    Failure::new(Kind::Usage, told)
}

/// An agent that goes the way of all our requests: the proxy of the environment, what the system trusts, and no redirect. An answer may
/// stream for as long as it likes.
fn agent(uri: &Uri) -> Result<Agent, Failure> {
    const CONNECT: Duration = Duration::from_secs(10);
    let proxies = proxies();
    let proxy = proxies
        .for_uri(uri)?
        .map(|proxy| Proxy::new(proxy.expose()));
    let proxy = proxy.transpose().map_err(|error| {
        Failure::new(Kind::Settings, format!("the proxy cannot be used: {error}"))
    })?;
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let config = Agent::config_builder()
        .max_redirects(0)
        .proxy(proxy)
        .tls_config(tls)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT));
    Ok(config.build().new_agent())
}

/// Prints the body, and gives the code of Coze's envelope, if it is one. A body that is longer than an envelope of an error is not
/// looked into.
fn print(mut body: impl Read, headers: &HeaderMap) -> Result<Option<i64>, Failure> {
    const LOOKED_AT: usize = 64 * 1024;
    let is_escaped = io::stdout().is_terminal();
    let (mut beginning, mut length, mut last) = (Vec::new(), 0, None);
    let mut unshown = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let read = match body.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => &piece[..read],
            Err(error) => {
                let told = format!("the answer broke off: {error}; try again");
                return Err(Failure::new(Kind::TryAgain, told));
            }
        };
        length += read.len();
        last = read.last().copied();
        if beginning.len() < LOOKED_AT {
            beginning.extend_from_slice(read);
        }
        match is_escaped {
            true => {
                unshown.extend_from_slice(read);
                show(&mut unshown)?;
            }
            false => output::bytes(read)?,
        }
    }
    output::bytes(output::plain(&String::from_utf8_lossy(&unshown)).as_bytes())?;
    if is_escaped && last.is_some_and(|last| last != b'\n') {
        output::bytes(b"\n")?;
    }
    #[derive(Deserialize)]
    struct Envelope {
        code: i64,
    }
    let is_whole = is_json(headers) && length == beginning.len();
    let envelope = is_whole.then(|| serde_json::from_slice::<Envelope>(&beginning).ok());
    Ok(envelope.flatten().map(|envelope| envelope.code))
}

/// Prints what has arrived for a terminal, but for a character of which a part has.
fn show(arrived: &mut Vec<u8>) -> Result<(), Failure> {
    let rest = arrived.split_off(arrived.len() - unended(arrived));
    let shown = std::mem::replace(arrived, rest);
    output::bytes(output::plain(&String::from_utf8_lossy(&shown)).as_bytes())
}

/// How many bytes at the end of these begin a character whose rest has not arrived.
fn unended(bytes: &[u8]) -> usize {
    let is_begun = |count: &usize| {
        let end = std::str::from_utf8(&bytes[bytes.len() - count..]);
        end.is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(is_begun).unwrap_or(0)
}
