//! TLS on the mock's sockets, with a certificate of its own CA or one from files.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};
use std::{fmt, io};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connections::Connection;
use crate::redact;

/// The lifetime of certificates; some clients refuse more than 825 days.
const VALID: Duration = Duration::from_secs(800 * 24 * 3600);

/// How long before now a certificate becomes valid, since the clocks of containers differ.
const BEFORE: Duration = Duration::from_secs(24 * 3600);

/// An error of a certificate or its key.
type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// The TLS configuration of the sockets.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    /// The certificate of the mock's CA, if the mock made one.
    pub(crate) ca_pem: Option<String>,
}

/// Without the private key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("own_ca", &self.ca_pem.is_some())
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Makes a CA, and its certificate for this machine and `hosts`; for a host `api.…` also for `www.…`, where SDKs look for
    /// pages (protocol §1).
    pub(crate) fn of_own_ca(hosts: &[&str]) -> Result<Self, Wrong> {
        let mut params = validity(CertificateParams::default());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "coze-auth-mock, for tests only");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        // A wildcard stands for exactly one label.
        let here = [
            "localhost",
            "*.localhost",
            "*.coze.localhost",
            "127.0.0.1",
            "::1",
        ];
        let all = here.iter().chain(hosts);
        let mut names = BTreeSet::new();
        for host in all {
            let host = host.trim_matches(['[', ']']);
            if host.is_empty()
                || host.contains(|c: char| !c.is_ascii_graphic() || "/:@?#".contains(c))
                    && host.parse::<IpAddr>().is_err()
            {
                return Err(format!(
                    "the certificate cannot be for {:?}; expected a host name or an IP address, such as api.mock.example",
                    redact::scrub(host)
                )
                .into());
            }
            if let Some(domain) = host.strip_prefix("api.") {
                names.insert(format!("www.{domain}"));
            }
            names.insert(host.to_owned());
        }
        let names: Vec<_> = names.into_iter().collect();
        let mut params = validity(CertificateParams::new(names)?);
        params
            .distinguished_name
            .push(DnType::CommonName, "coze-auth-mock");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &ca)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Self::new(vec![certificate.der().clone()], key, Some(ca.pem()))
    }

    /// The same certificate for a server that speaks HTTP/1.1 alone.
    #[cfg(feature = "shadow")]
    pub(crate) fn http1(&self) -> TlsAcceptor {
        let mut config = ServerConfig::clone(self.acceptor.config());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Reads a certificate, followed by its intermediate certificates, and its key.
    pub(crate) fn of_files(certificate: &Path, key: &Path) -> Result<Self, Wrong> {
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain: Vec<_> = chain
            .map_err(|error| unreadable(certificate, &error, "a certificate", "CERTIFICATE"))?;
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| unreadable(key, &error, "a private key", "PRIVATE KEY"))?;
        if chain.is_empty() {
            return Err(unreadable(
                certificate,
                &pem::Error::NoItemsFound,
                "a certificate",
                "CERTIFICATE",
            ));
        }
        Self::new(chain, private, None)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        ca_pem: Option<String>,
    ) -> Result<Self, Wrong> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, ca_pem })
    }
}

/// Why a file cannot be read, in our words: those of the reader quote the file, which may be a private key.
fn unreadable(path: &Path, error: &pem::Error, what: &str, label: &str) -> Wrong {
    let why = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::IllegalSectionStart { .. } => format!(
            "not {what} in PEM: the line with BEGIN {label} has more than that; each line of the file has to end where it ended when the file was made"
        ),
        pem::Error::MissingSectionEnd { .. } => {
            format!(
                "not {what} in PEM: the line with END {label} is missing; was the file cut off?"
            )
        }
        pem::Error::Base64Decode(_) => {
            format!("not {what} in PEM: what stands between BEGIN and END is not base64")
        }
        _ => format!("not {what} in PEM: it has no line with BEGIN {label}"),
    };
    let path = path.to_string_lossy();
    format!("{}: {why}", redact::without_keys(&path, &path)).into()
}

fn validity(mut params: CertificateParams) -> CertificateParams {
    let now = SystemTime::now();
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + VALID).into();
    params
}

/// The socket of a connection, which tells the connection whether the client takes what is written.
pub(crate) struct Socket {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Socket {
    pub(crate) const fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }

    fn written<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.connection.writes(polled.is_pending());
        polled
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A connection.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Tls(_) => "Tls",
        })
    }
}

impl Stream {
    /// Shakes hands, if there is TLS.
    pub(crate) async fn new(socket: Socket, tls: Option<&Tls>) -> io::Result<Self> {
        match tls {
            None => Ok(Self::Plain(socket)),
            Some(tls) => Ok(Self::Tls(Box::new(tls.acceptor.accept(socket).await?))),
        }
    }

    /// Returns true if the client chose HTTP/2. Without TLS it cannot.
    pub(crate) fn speaks_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => &socket.stream,
            Self::Tls(stream) => &stream.get_ref().0.stream,
        }
    }

    pub(crate) fn set_nodelay(&self) {
        let _ = self.tcp().set_nodelay(true);
    }

    /// Makes the socket send RST when it is dropped.
    pub(crate) fn set_zero_linger(&self) -> io::Result<()> {
        self.tcp().set_zero_linger()
    }

    /// Sends the written bytes, then FIN. TLS has no `close_notify` then, as when a server crashes.
    pub(crate) fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut *self).poll_flush(cx))?;
        match self {
            Self::Tls(stream) => Pin::new(stream.get_mut().0).poll_shutdown(cx),
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn io(&mut self) -> Pin<&mut (dyn Io + Send)> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }
}
