//! Which failure of the network it was, in words that say what to do.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind as Io};
use std::iter::successors;
use std::sync::Arc;

use coze_auth_core as core;
use coze_auth_core::error::{ErrorKind, TransportFailure, report};
use coze_auth_store::Cause;
use rustls::{CertificateError, Error as Tls, InvalidMessage};

use crate::error::PAUSE;

/// What stood in the way of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The host's name was not resolved: it does not exist, or no name server answers.
    UnknownName,
    /// The connection was refused.
    Refused,
    /// No route leads there.
    Unreachable,
    /// No connection in the time allowed. What a firewall drops looks like this.
    ConnectTimeout,
    /// No whole answer in the time allowed.
    Timeout,
    /// The connection was reset.
    Reset,
    /// The connection was closed before its time.
    Closed,
    /// The certificate has expired, by this machine's clock.
    CertificateExpired,
    /// The certificate is not valid yet, by this machine's clock.
    CertificateNotYetValid,
    /// The certificate is of another host.
    WrongHost,
    /// The certificate is by an authority that is not known here, such as its own.
    UnknownIssuer,
    /// The certificate was revoked.
    CertificateRevoked,
    /// The certificate cannot be used for another reason.
    BadCertificate,
    /// What answered does not speak TLS: a port for http.
    NotTls,
    /// What answered does not speak HTTP: a port for https, or of another service.
    NotHttp,
    /// The TLS handshake failed for another reason.
    Handshake,
    /// The proxy asks for a user and a password, or for others (HTTP 407).
    ProxyAuthentication,
    /// The proxy cannot be reached, and its client does not tell why.
    ProxyUnreachable,
    /// The proxy did not make the connection.
    ProxyRefused,
    /// The system said this.
    System(io::ErrorKind),
    /// It cannot be told; the cause says more.
    Unknown,
}

impl Obstacle {
    /// By what the error and those below it are: errors of the system, of `rustls`, and about proxies. What else an
    /// HTTP client knows of its own is for its adapter to tell.
    pub fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut found = Self::Unknown;
        // The lowest that says anything knows best: what stands above repeats it.
        for error in chain(error) {
            if let Some(tls) = error.downcast_ref::<Tls>() {
                return of_tls(tls);
            }
            match error.downcast_ref::<io::Error>() {
                Some(io) => found = of_io(io),
                None => {
                    let words = error.to_string();
                    if let Some(told) = of_proxy(&words).or_else(|| of_http(&words)) {
                        return told;
                    }
                }
            }
        }
        found
    }

    /// What is known of a request's fate, for a client that does not tell what it has sent.
    pub const fn failure(self) -> TransportFailure {
        match self {
            Self::Timeout => TransportFailure::Timeout,
            Self::Reset | Self::Closed | Self::NotHttp | Self::Unknown => {
                TransportFailure::NoAnswer
            }
            _ => TransportFailure::NotSent,
        }
    }

    /// Whether something configured must change before the same can succeed: address, certificates, proxy, clock.
    const fn is_of_settings(self) -> bool {
        matches!(
            self,
            Self::CertificateExpired
                | Self::CertificateNotYetValid
                | Self::WrongHost
                | Self::UnknownIssuer
                | Self::CertificateRevoked
                | Self::BadCertificate
                | Self::NotTls
                | Self::NotHttp
                | Self::ProxyAuthentication
        )
    }

    /// Whether there was no connection, so that nothing can have been sent.
    const fn is_unconnected(self) -> bool {
        matches!(
            self,
            Self::UnknownName
                | Self::Refused
                | Self::Unreachable
                | Self::ConnectTimeout
                | Self::ProxyUnreachable
                | Self::ProxyRefused
        )
    }
}

/// The error and those below it. An `io::Error` does not count what it wraps among its sources, but what is below that.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |&error| {
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// What the HTTP clients tell of a proxy in words alone: hyper-util (`tunnel error`, `SOCKS error`) does not export the
/// types, ureq has none.
fn of_proxy(words: &str) -> Option<Obstacle> {
    match words {
        "tunnel error: proxy authorization required"
        | "SOCKS error: credentials not accepted"
        | "SOCKS error: server does not support user/pass authentication"
        | "no acceptable auth methods"
        | "password authentication failed" => Some(Obstacle::ProxyAuthentication),
        "SOCKS error: could not resolve to acceptable address type" => Some(Obstacle::UnknownName),
        // What is below it cannot be seen.
        "SOCKS error: failed to create underlying connection" => Some(Obstacle::ProxyUnreachable),
        // What is below these says it.
        "tunnel error: failed to create underlying connection"
        | "tunnel error: io error establishing tunnel" => None,
        // RFC 1928 §6, as ureq has it, and SOCKS4.
        "general SOCKS server failure"
        | "connection not allowed by ruleset"
        | "network unreachable"
        | "host unreachable"
        | "connection refused"
        | "TTL expired"
        | "command not supported"
        | "address kind not supported"
        | "request rejected or failed" => Some(Obstacle::ProxyRefused),
        _ if words.starts_with("CONNECT proxy failed: proxy server responded 407") => {
            Some(Obstacle::ProxyAuthentication)
        }
        _ => ["CONNECT proxy failed: ", "tunnel error: ", "SOCKS error: "]
            .iter()
            .any(|start| words.starts_with(start))
            .then_some(Obstacle::ProxyRefused),
    }
}

/// What hyper and attohttpc tell of an answer in words alone, or in types that would have to be theirs.
fn of_http(words: &str) -> Option<Obstacle> {
    match words {
        "connection closed before message completed" => Some(Obstacle::Closed),
        _ if words.starts_with("invalid HTTP ") && words.contains(" parsed") => {
            Some(Obstacle::NotHttp)
        }
        _ => words
            .starts_with("InvalidResponse: ")
            .then_some(Obstacle::NotHttp),
    }
}

/// Whether the error shows that a proxy was on the way.
fn is_proxied(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|error| {
        let words = error.to_string();
        words.starts_with("tunnel error: ") || words.starts_with("SOCKS error: ")
    })
}

fn of_io(error: &io::Error) -> Obstacle {
    match error.kind() {
        Io::ConnectionRefused => Obstacle::Refused,
        Io::HostUnreachable | Io::NetworkUnreachable | Io::NetworkDown | Io::AddrNotAvailable => {
            Obstacle::Unreachable
        }
        Io::TimedOut => Obstacle::Timeout,
        Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe => Obstacle::Reset,
        Io::UnexpectedEof => Obstacle::Closed,
        _ if is_of_lookup(error) => Obstacle::UnknownName,
        // What wraps a library's error, or is of no kind, says nothing in words of its own.
        Io::Other | Io::InvalidData => Obstacle::Unknown,
        kind => Obstacle::System(kind),
    }
}

/// Of `getaddrinfo`, for which std has no kind: on Unix its own words, on Windows the codes WSAHOST_NOT_FOUND to WSANO_DATA.
fn is_of_lookup(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(code) => cfg!(windows) && (11_001..=11_004).contains(&code),
        None => error.to_string().starts_with("failed to lookup address"),
    }
}

fn of_tls(error: &Tls) -> Obstacle {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        NotValidYet, NotValidYetContext, Revoked, UnknownIssuer,
    };
    match error {
        Tls::InvalidCertificate(why) => match why {
            Expired | ExpiredContext { .. } => Obstacle::CertificateExpired,
            NotValidYet | NotValidYetContext { .. } => Obstacle::CertificateNotYetValid,
            NotValidForName | NotValidForNameContext { .. } => Obstacle::WrongHost,
            // Signed with another key than that of the authority that is trusted under this name.
            UnknownIssuer | BadSignature => Obstacle::UnknownIssuer,
            Revoked => Obstacle::CertificateRevoked,
            _ => Obstacle::BadCertificate,
        },
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => Obstacle::NotTls,
        _ => Obstacle::Handshake,
    }
}

/// An HTTP client's own error, what stood in its way, and the proxy that it used.
#[derive(Clone)]
pub struct NetworkError {
    obstacle: Obstacle,
    /// Empty if there was one, and it is not known which.
    proxy: Option<String>,
    cause: Cause,
}

impl NetworkError {
    /// `proxy` is `host:port` of the proxy that was used, as far as that is known, without user and password. The
    /// error must have no URL in it.
    pub fn new(
        error: impl StdError + Send + Sync + 'static,
        obstacle: Obstacle,
        proxy: Option<String>,
    ) -> Self {
        Self {
            obstacle,
            proxy: proxy.or_else(|| is_proxied(&error).then(String::new)),
            cause: Arc::new(error),
        }
    }

    /// With what can be told from the errors below it.
    pub(crate) fn of(cause: Cause) -> Self {
        Self {
            obstacle: Obstacle::of(&*cause),
            proxy: is_proxied(&*cause).then(String::new),
            cause,
        }
    }

    /// Of a failure that has no error of its own.
    pub(crate) fn of_io(kind: io::ErrorKind) -> Self {
        Self::of(Arc::new(io::Error::from(kind)))
    }

    /// What stood in the way.
    pub fn obstacle(&self) -> Obstacle {
        self.obstacle
    }

    /// Host and port of the proxy that was used; none if none was, or if it is not known which.
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref().filter(|proxy| !proxy.is_empty())
    }

    /// The HTTP client's own error, to be had by `downcast_ref`.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// What to do about a request of the application's own, of which only the application knows whether it may be
    /// sent twice.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.obstacle {
            obstacle if obstacle.is_of_settings() => ErrorKind::Settings,
            obstacle if obstacle.is_unconnected() => ErrorKind::Wait(PAUSE),
            _ => ErrorKind::Other,
        }
    }

    /// Whether something configured must change before the request that failed so can succeed.
    pub(crate) fn needs_settings(&self, failure: TransportFailure) -> bool {
        // What was sent may be spent, unless it went to what speaks no HTTP.
        let is_spent = failure != TransportFailure::NotSent && self.obstacle != Obstacle::NotHttp;
        self.obstacle.is_of_settings() && !is_spent
    }

    /// Writes the core's error with the reason, if there is one to tell.
    pub(crate) fn fmt_of(&self, error: &core::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.obstacle, &self.proxy) {
            (Obstacle::Unknown, None) => write!(f, "{error}"),
            _ => error.fmt_because(self, f),
        }
    }

    /// The way to a proxy, which is what failed, or the way to the host.
    fn connection(&self) -> String {
        match (&self.proxy, self.proxy()) {
            (None, _) => "the connection".to_owned(),
            (_, Some(proxy)) => format!("the connection to the proxy {proxy}"),
            _ => "the connection to the proxy".to_owned(),
        }
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connection = self.connection();
        let words = match self.obstacle {
            Obstacle::UnknownName if self.proxy.is_some() => {
                return write!(
                    f,
                    "a name was not resolved, for {connection} or the host itself: check both, and this machine's DNS"
                );
            }
            Obstacle::UnknownName => "its name was not resolved: check it, and this machine's DNS",
            Obstacle::Refused => {
                return write!(
                    f,
                    "{connection} was refused: nothing listens there, or a firewall rejects it; check host and port"
                );
            }
            Obstacle::Unreachable => {
                return write!(
                    f,
                    "this machine has no route for {connection}: check its network, VPN and firewall"
                );
            }
            Obstacle::ConnectTimeout if self.proxy.is_some() => {
                return write!(
                    f,
                    "{connection}, or from it to the host, was not made in time: a firewall drops what is sent, or one of the two is down"
                );
            }
            Obstacle::ConnectTimeout => {
                "the connection was not made in time: a firewall drops what is sent, or the host, or a proxy, is down or busy"
            }
            Obstacle::Timeout => {
                "the server or the network is too slow, or a firewall drops what is sent"
            }
            Obstacle::Reset => {
                "the connection was reset, by the server or by a firewall or proxy on the way"
            }
            Obstacle::Closed => {
                "the connection was closed before its time, by the server or by a firewall or proxy on the way; if it always is, check host and port"
            }
            Obstacle::CertificateExpired => {
                "the certificate has expired: it must be renewed there, unless this machine's clock is wrong"
            }
            Obstacle::CertificateNotYetValid => {
                "the certificate is not valid yet: set this machine's clock, if it is behind"
            }
            Obstacle::WrongHost => {
                "the certificate is another host's: check the address; DNS, a gateway or a captive portal may have led elsewhere"
            }
            Obstacle::UnknownIssuer => {
                "the certificate is by an authority that is not trusted here: if it is yours, or your company's, add its root certificate"
            }
            Obstacle::CertificateRevoked => {
                "the certificate was revoked: it must be replaced there"
            }
            Obstacle::BadCertificate => "the certificate cannot be used: it must be replaced there",
            Obstacle::NotTls => "what answers does not speak TLS: the port may be one for http",
            Obstacle::NotHttp => {
                "the answer is not HTTP: the port may be one for https, or of another service"
            }
            Obstacle::Handshake => {
                "the TLS handshake failed: the server does not take what this client offers, or is none for https"
            }
            Obstacle::ProxyAuthentication => {
                return write!(
                    f,
                    "{connection} asks for a user and a password: put them into its URL, or mend those that are there"
                );
            }
            Obstacle::ProxyUnreachable => {
                return write!(
                    f,
                    "{connection} was not made: check its host and port, and whether it is up"
                );
            }
            Obstacle::ProxyRefused => {
                return write!(
                    f,
                    "{connection} leads no further: it forbids this host, or cannot reach it"
                );
            }
            Obstacle::System(kind) => return write!(f, "{connection} failed: {kind}"),
            Obstacle::Unknown => "its causes say more",
        };
        f.write_str(words)?;
        match self.proxy() {
            Some(proxy) => write!(f, " (through the proxy {proxy})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl StdError for NetworkError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, OtherError};

    use super::*;
    use crate::SendError;

    /// As the HTTP clients wrap it: twice, and in an `io::Error`, which hides what it wraps from `source()`.
    fn wrapped(error: impl StdError + Send + Sync + 'static) -> io::Error {
        io::Error::other(io::Error::new(Io::InvalidData, error))
    }

    #[test]
    fn what_is_wrong_with_tls_is_found_at_any_depth() {
        let other = OtherError(Arc::new(io::Error::other("a verifier's own")));
        for (error, obstacle) in [
            (CertificateError::Revoked, Obstacle::CertificateRevoked),
            (CertificateError::Expired, Obstacle::CertificateExpired),
            (
                CertificateError::NotValidYet,
                Obstacle::CertificateNotYetValid,
            ),
            (CertificateError::NotValidForName, Obstacle::WrongHost),
            (CertificateError::UnknownIssuer, Obstacle::UnknownIssuer),
            (CertificateError::BadSignature, Obstacle::UnknownIssuer),
            (CertificateError::BadEncoding, Obstacle::BadCertificate),
            (CertificateError::Other(other), Obstacle::BadCertificate),
        ] {
            let error = wrapped(Tls::InvalidCertificate(error));
            assert_eq!(Obstacle::of(&error), obstacle, "{error}");
            assert!(obstacle.is_of_settings());
        }
        let alert = Tls::AlertReceived(AlertDescription::HandshakeFailure);
        assert_eq!(Obstacle::of(&wrapped(alert)), Obstacle::Handshake);
    }

    #[test]
    fn what_the_system_says_is_told_and_what_a_library_says_is_not() {
        for (kind, obstacle) in [
            (Io::HostUnreachable, Obstacle::Unreachable),
            (Io::ConnectionAborted, Obstacle::Reset),
            (Io::PermissionDenied, Obstacle::System(Io::PermissionDenied)),
        ] {
            assert_eq!(Obstacle::of(&wrapped(io::Error::from(kind))), obstacle);
        }
        let own = io::Error::other("the password is SENTINEL");
        assert_eq!(Obstacle::of(&wrapped(own)), Obstacle::Unknown);
        let denied = io::Error::new(Io::PermissionDenied, "SENTINEL");
        let error = NetworkError::new(denied, Obstacle::System(Io::PermissionDenied), None);
        assert_eq!(
            error.to_string(),
            "the connection failed: permission denied"
        );
    }

    #[test]
    fn a_limit_of_a_transport_of_ones_own_has_its_reason() {
        let SendError::Failed { failure, cause } = TransportFailure::Timeout.into() else {
            panic!("it ends no other request");
        };
        assert_eq!(failure, TransportFailure::Timeout);
        assert_eq!(cause.expect("a cause").obstacle(), Obstacle::Timeout);
        let unknown = SendError::from(TransportFailure::NoAnswer);
        assert!(matches!(unknown, SendError::Failed { cause: None, .. }));
    }

    #[test]
    fn a_request_of_the_applications_own_waits_only_if_nothing_was_sent() {
        for (obstacle, kind) in [
            (Obstacle::Refused, ErrorKind::Wait(PAUSE)),
            (Obstacle::WrongHost, ErrorKind::Settings),
            (Obstacle::Reset, ErrorKind::Other),
            (Obstacle::Unknown, ErrorKind::Other),
        ] {
            let error = NetworkError::new(io::Error::other("it"), obstacle, None);
            assert_eq!(crate::Error::Request(error).kind(), kind, "{obstacle:?}");
        }
    }
}
