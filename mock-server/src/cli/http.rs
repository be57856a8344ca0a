//! One request to a running mock over a socket of our own, so that the commands work where nothing else is installed, and
//! without any proxy.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use url::Url;

use super::Failure;

const LIMIT: Duration = Duration::from_secs(3);
/// The longest wait that a control may be asked for, by `timeout_ms`.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Maximum number of bytes of an answer. A full journal of 2,000 requests has a few megabytes.
const LONGEST_ANSWER: u64 = 256 * 1024 * 1024;

/// The mock, its world, and the credential for its control plane.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Base URL of the mock
    #[arg(long, default_value = "http://127.0.0.1:9777", value_parser = base_url, global = true)]
    url: Url,
    /// Name of the world; without it, the first one
    #[arg(long, value_name = "NAME", global = true)]
    world: Option<String>,
    /// Admin token of the control plane, if the mock has one
    #[arg(
        long,
        value_name = "TOKEN",
        env = "COZE_AUTH_MOCK_ADMIN_TOKEN",
        hide_env_values = true,
        global = true
    )]
    admin_token: Option<String>,
    #[command(flatten)]
    trust: Trust,
}

/// The CA to trust over https.
#[derive(Debug, Args)]
pub(crate) struct Trust {
    /// Certificate in PEM of the CA to trust over https: the file that serve --tls-ca wrote
    #[arg(long, value_name = "FILE", env = "SSL_CERT_FILE", global = true)]
    ca: Option<PathBuf>,
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
    pub(crate) fn ca(&self) -> Option<&Path> {
        let https = self.url.scheme() == "https";
        self.trust.ca.as_deref().filter(|_| https)
    }

    /// Returns true if it is not the first world.
    pub(crate) fn is_named_world(&self) -> bool {
        self.world.is_some() || self.url.path().contains("/t/")
    }

    /// The answer of `GET /_mock/v1/info`.
    pub(crate) fn info(&self) -> Result<Value, Failure> {
        let answer = self.send("GET", "/info", None)?;
        match answer.ok() {
            true => Ok(answer.json()),
            false => {
                let json = answer.json();
                let why = json["error"].as_str().unwrap_or("refused");
                Err(Failure::Reason(why.to_owned()))
            }
        }
    }

    /// The answer of a server at another URL. `path` is below `/_mock/v1`.
    #[cfg(feature = "shadow")]
    pub(crate) fn at(&self, url: &Url, path: &str) -> Result<Answer, Failure> {
        send(url, &self.trust, "GET", path, None, None)
            .map_err(|error| Failure::Reason(format!("{url} does not answer: {error}")))
    }

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
                let text = format!("{base} names a world already; omit --world");
                return Err(Failure::Reason(text));
            }
            let path = format!("{}/t/{world}", base.path().trim_end_matches('/'));
            base.set_path(&path);
        }
        let sent = send(
            &base,
            &self.trust,
            method,
            path,
            self.admin_token.as_deref(),
            body,
        );
        let answer = sent.map_err(|error| no_mock(&base, &error))?;
        let json = answer.json();
        match (answer.status, json.is_object()) {
            (401, true) if json.get("rule").is_none() => Err(Failure::Reason(format!(
                "{base} requires its admin token: set --admin-token or COZE_AUTH_MOCK_ADMIN_TOKEN"
            ))),
            // As an OAuth server answers: the mock tells in `error` what is wrong.
            (_, true) if json.get("error_description").is_none() => Ok(answer),
            (..) => Err(no_mock(
                &base,
                &io::Error::other("the answer is not that of a mock"),
            )),
        }
    }
}

/// Parses the base URL of a server on the command line.
pub(crate) fn base_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or("it begins with http:// or https://, such as http://127.0.0.1:9777")
}

pub(crate) fn no_mock(url: &Url, error: &io::Error) -> Failure {
    Failure::Reason(format!(
        "{url} does not answer as a mock: {error}; is it running there?"
    ))
}

pub(crate) fn send(
    base: &Url,
    trust: &Trust,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> io::Result<Answer> {
    let wrong = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text.to_owned());
    let host = base
        .host_str()
        .ok_or_else(|| wrong("the URL has no host"))?;
    let port = base
        .port_or_known_default()
        .ok_or_else(|| wrong("the URL has no port"))?;
    let mount = base.path().trim_end_matches('/');
    let mut head = format!(
        "{method} {mount}/_mock/v1{path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
    );
    if let Some(token) = token {
        if token.chars().any(|c| !c.is_ascii_graphic()) {
            return Err(wrong(
                "the admin token has characters that a header cannot hold",
            ));
        }
        head += &format!("Authorization: Bearer {token}\r\n");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    if !body.is_empty() {
        let length = body.len();
        head += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    }
    let plain_host = host.trim_matches(['[', ']']);
    let stream = connect(plain_host, port)?;
    let waits =
        method == "GET" && (path.starts_with("/gates/") || path.starts_with("/requests/next"));
    let limit = if waits { LIMIT + LONGEST_WAIT } else { LIMIT };
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let request = format!("{head}\r\n{body}");
    let answer = match base.scheme() {
        "http" => exchange(stream, &request),
        _ => exchange(trust.secured(plain_host, stream)?, &request),
    };
    let answer = answer.map_err(|error| match error.kind() {
        // Which of them depends on the system.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            let text = format!("no whole answer within {} s", limit.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, text)
        }
        _ => error,
    })?;
    let parsed = answer.split_once("\r\n\r\n").and_then(|(head, text)| {
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let text = text.to_owned();
        Some(Answer { status, text })
    });
    parsed.ok_or_else(|| io::Error::other("the answer is not HTTP/1.1"))
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}

impl Trust {
    fn secured(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let Some(file) = &self.ca else {
            let text = "https needs the certificate of the mock's CA: set --ca FILE or SSL_CERT_FILE; serve --tls-ca FILE writes it";
            return Err(io::Error::other(text));
        };
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        // In our words: those of the reader quote the file, which may be a private key.
        let certificates: Vec<_> = certificates.map_err(|error| {
            let why = match &error {
                pem::Error::Io(error) => error.to_string(),
                _ => "this is not a certificate in PEM; serve --tls-ca FILE writes the right one"
                    .to_owned(),
            };
            io::Error::other(format!("{}: {why}", file.display()))
        })?;
        roots.add_parsable_certificates(certificates);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }
}

/// Tries all addresses of a name: `localhost` often has one where nobody listens.
fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
