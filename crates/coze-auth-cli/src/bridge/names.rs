//! By which names the bridge is reached, and whose pages may call it.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use coze_auth::endpoint::token_origin;

/// The address by which clients reach the bridge: scheme, host and port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PublicUrl {
    origin: String,
    is_exposed: bool,
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let origin = token_origin(text, true).map_err(|_| {
            "say the address as clients write it, such as https://coze-oauth.example.com: with http or https, and without a path, \
             since a client looks for the metadata at the root"
                .to_owned()
        })?;
        if !origin.starts_with("http") {
            return Err("it is http or https".to_owned());
        }
        Ok(Self {
            is_exposed: token_origin(text, false).is_err(),
            origin,
        })
    }
}

impl PublicUrl {
    /// Returns true if it is http, and not of this machine.
    pub(super) const fn is_exposed(&self) -> bool {
        self.is_exposed
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)
    }
}

/// The bridge's own names.
#[derive(Debug)]
pub(super) struct Names {
    listen: SocketAddr,
    public: Option<PublicUrl>,
    /// As they stand in `Host`, in small letters.
    hosts: Vec<String>,
    /// Of pages that may call it.
    origins: Vec<String>,
}

impl Names {
    /// # Errors
    ///
    /// Which option is wrong, in words.
    pub(super) fn new(
        listen: SocketAddr,
        public: Option<PublicUrl>,
        hosts: &[String],
        origins: &[String],
    ) -> Result<Self, String> {
        let port = listen.port();
        let mut own = ["127.0.0.1", "localhost", "[::1]"]
            .map(|name| format!("{name}:{port}"))
            .to_vec();
        if port == 80 {
            own.extend(["127.0.0.1", "localhost", "[::1]"].map(str::to_owned));
        }
        if listen.ip().is_loopback() {
            own.push(listen.to_string());
        }
        if let Some(url) = &public {
            let host = authority(&url.origin);
            // With its scheme's port it is the same name (RFC 9110 §4.2.3), which stands there if it is another one.
            if !host
                .rsplit(']')
                .next()
                .is_some_and(|rest| rest.contains(':'))
            {
                let port = if url.origin.starts_with("https") {
                    443
                } else {
                    80
                };
                own.push(format!("{host}:{port}"));
            }
            own.push(host.to_owned());
        }
        for host in hosts {
            let host = host.to_ascii_lowercase();
            let written = format!("http://{}", host.strip_suffix(":80").unwrap_or(&host));
            let is_host = token_origin(&written, true).is_ok_and(|origin| origin == written);
            if !is_host {
                return Err("--allow-host is not a host, with its port if clients write one, such as bridge:8555".to_owned());
            }
            own.push(host);
        }
        let mut allowed = Vec::new();
        for origin in origins {
            let origin =
                token_origin(origin, false).map_err(|error| format!("--allow-origin: {error}"))?;
            allowed.push(origin);
        }
        Ok(Self {
            listen,
            public,
            hosts: own,
            origins: allowed,
        })
    }

    pub(super) const fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The issuer (RFC 8414 §2), without a slash at its end: the public address, else the one of this machine that the client wrote.
    /// `host` is one that [`has`](Self::has).
    pub(super) fn issuer(&self, host: Option<&str>) -> Cow<'_, str> {
        match (&self.public, host) {
            (Some(url), _) => Cow::Borrowed(&url.origin),
            (None, Some(host)) => Cow::Owned(format!("http://{}", host.to_ascii_lowercase())),
            (None, None) => Cow::Owned(format!("http://{}", self.listen)),
        }
    }

    /// Returns true if clients may have found the bridge by this `Host`.
    pub(super) fn has(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }

    /// Returns true if pages of this origin may call.
    pub(super) fn may_call(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == origin)
    }
}

/// Host and port of an origin.
fn authority(origin: &str) -> &str {
    origin
        .split_once("://")
        .map_or(origin, |(_, authority)| authority)
}
