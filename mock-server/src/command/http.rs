//! One request to a running mock over a plain socket: the commands have to work where nothing else is
//! installed, and past any proxy.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use url::Url;

use super::Failure;

const LIMIT: Duration = Duration::from_secs(3);
/// A full journal of 2,000 requests has a few megabytes.
const LONGEST_ANSWER: u64 = 256 * 1024 * 1024;

/// Which mock, and how to get in.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Its base URL
    #[arg(long, default_value = "http://127.0.0.1:9777", global = true)]
    url: Url,
    /// The world, if it is not the first one
    #[arg(long, value_name = "NAME", global = true)]
    world: Option<String>,
    /// What the control plane takes as Bearer credential, if it wants one
    #[arg(
        long,
        value_name = "TOKEN",
        env = "COZE_AUTH_MOCK_ADMIN_TOKEN",
        hide_env_values = true,
        global = true
    )]
    admin_token: Option<String>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn ok(&self) -> bool {
        self.status == 200
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Target {
    /// `path` is below `/_mock/v1`.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let mut base = self.url.clone();
        if let Some(world) = &self.world {
            if base.path().contains("/t/") {
                let text = format!("{base} names a world already; leave --world out");
                return Err(Failure::Told(text));
            }
            let path = format!("{}/t/{world}", base.path().trim_end_matches('/'));
            base.set_path(&path);
        }
        let sent = send(&base, method, path, self.admin_token.as_deref(), body);
        let answer = sent.map_err(|error| no_mock(&base, &error))?;
        let json = answer.json();
        match (answer.status, json.is_object()) {
            (401, true) if json.get("rule").is_none() => Err(Failure::Told(format!(
                "{base} wants its admin token: --admin-token, or COZE_AUTH_MOCK_ADMIN_TOKEN"
            ))),
            (_, true) => Ok(answer),
            (..) => Err(no_mock(
                &base,
                &io::Error::other("its answer is another one"),
            )),
        }
    }
}

pub(crate) fn no_mock(url: &Url, error: &io::Error) -> Failure {
    Failure::Told(format!(
        "{url} does not answer as a mock: {error}; is it running there?"
    ))
}

pub(crate) fn send(
    base: &Url,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> io::Result<Answer> {
    let wrong = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text.to_owned());
    if base.scheme() != "http" {
        return Err(wrong("only http:// is spoken here"));
    }
    let host = base.host_str().ok_or_else(|| wrong("no host in the URL"))?;
    let port = base
        .port_or_known_default()
        .ok_or_else(|| wrong("no port in the URL"))?;
    let mut stream = connect(host.trim_matches(['[', ']']), port)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mount = base.path().trim_end_matches('/');
    let mut head = format!(
        "{method} {mount}/_mock/v1{path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
    );
    if let Some(token) = token {
        if token.chars().any(|c| !c.is_ascii_graphic()) {
            return Err(wrong("the admin token does not fit in a header"));
        }
        head += &format!("Authorization: Bearer {token}\r\n");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    if !body.is_empty() {
        let length = body.len();
        head += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
    let parsed = answer.split_once("\r\n\r\n").and_then(|(head, text)| {
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let text = text.to_owned();
        Some(Answer { status, text })
    });
    parsed.ok_or_else(|| io::Error::other("its answer is no HTTP/1.1"))
}

/// A name such as `localhost` often has an address where nobody listens beside the one where somebody does.
fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::other("no address for the host");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
