//! A client with a login of its own over one connection that is kept: of the mock in Coze's form, or of the bridge in OAuth's.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const WEB: &str = "11111111111111111111111111111111.app.coze";
const SECRET: &str = "mock-web-secret";
/// Of the pair.
const BASIC: &str = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTEuYXBwLmNvemU6bW9jay13ZWItc2VjcmV0";
const CALLBACK: &str = "http%3A%2F%2Flocalhost%2Fcb";
const AUTHORIZE: &str = "/api/permission/oauth2/authorize";
const TOKEN: &str = "/api/permission/oauth2/token";

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speaks {
    Coze,
    OAuth,
}

pub(crate) struct Client {
    stream: TcpStream,
    speaks: Speaks,
    host: SocketAddr,
    refresh_token: String,
}

impl Client {
    /// Logs in at the mock, which approves, and talks to `to` from then on.
    pub(crate) fn new(mock: SocketAddr, to: SocketAddr, speaks: Speaks) -> Self {
        let mut login = Self::over(mock, Speaks::Coze);
        let (head, _) = login.ask(&format!(
            "GET {AUTHORIZE}?response_type=code&client_id={WEB}&redirect_uri={CALLBACK}&state=s HTTP/1.1\r\nHost: {mock}\r\n\r\n"
        ));
        let (_, code) = head.split_once("?code=").expect("a code");
        let code = code.split('&').next().unwrap_or_default();
        let body = format!(
            r#"{{"grant_type":"authorization_code","client_id":"{WEB}","redirect_uri":"http://localhost/cb","code":"{code}"}}"#
        );
        login.grant(&body);
        Self {
            refresh_token: login.refresh_token,
            ..Self::over(to, speaks)
        }
    }

    fn over(to: SocketAddr, speaks: Speaks) -> Self {
        let stream = TcpStream::connect(to).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket");
        Self {
            stream,
            speaks,
            host: to,
            refresh_token: String::new(),
        }
    }

    /// A refresh, which has to succeed.
    pub(crate) fn refresh(&mut self) {
        let token = &self.refresh_token;
        let body = match self.speaks {
            Speaks::Coze => format!(
                r#"{{"grant_type":"refresh_token","client_id":"{WEB}","refresh_token":"{token}"}}"#
            ),
            Speaks::OAuth => format!("grant_type=refresh_token&refresh_token={token}"),
        };
        self.grant(&body);
    }

    fn grant(&mut self, body: &str) {
        let (path, kind, credential) = match self.speaks {
            Speaks::Coze => (TOKEN, "application/json", format!("Bearer {SECRET}")),
            Speaks::OAuth => (
                "/token",
                "application/x-www-form-urlencoded",
                format!("Basic {BASIC}"),
            ),
        };
        let (host, length) = (self.host, body.len());
        let (head, body) = self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nAuthorization: {credential}\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
        let (_, token) = body
            .split_once("\"refresh_token\":\"")
            .expect("a refresh token");
        self.refresh_token = token.split('"').next().unwrap_or_default().to_owned();
    }

    fn ask(&mut self, request: &str) -> (String, String) {
        self.stream
            .write_all(request.as_bytes())
            .expect("it is taken");
        let (mut text, mut piece) = (String::new(), [0; 8 * 1024]);
        loop {
            let read = self.stream.read(&mut piece).expect("an answer");
            assert!(read > 0, "the connection has ended: {text}");
            text += std::str::from_utf8(&piece[..read]).expect("ASCII");
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let small = head.to_ascii_lowercase();
            let length = small
                .split_once("content-length: ")
                .map_or("0", |(_, rest)| rest);
            let length = length
                .split('\r')
                .next()
                .and_then(|length| length.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return (head.to_owned(), body.to_owned());
            }
        }
    }
}
