//! TLS on the mock's sockets, with a certificate of its own CA or one from files.

use std::collections::BTreeSet;
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
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

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
    /// Makes a CA, and its certificate for this machine and `hosts`.
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
        let names: BTreeSet<_> = all
            .map(|host| host.trim_matches(['[', ']']).to_owned())
            .collect();
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

    /// Reads a certificate, followed by its intermediate certificates, and its key.
    pub(crate) fn of_files(certificate: &Path, key: &Path) -> Result<Self, Wrong> {
        let about = |path: &Path, error: rustls_pki_types::pem::Error| {
            Wrong::from(format!("{}: {error}", path.display()))
        };
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain: Vec<_> = chain.map_err(|error| about(certificate, error))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| about(key, error))?;
        Self::new(chain, key, None)
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
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, ca_pem })
    }
}

fn validity(mut params: CertificateParams) -> CertificateParams {
    let now = SystemTime::now();
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + VALID).into();
    params
}

/// A connection. The handshake begins at the first read, so that a slow one does not delay other connections.
pub(crate) enum Stream {
    Plain(TcpStream),
    Greeting(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Lost,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Greeting(_) => "Greeting",
            Self::Tls(_) => "Tls",
            Self::Lost => "Lost",
        })
    }
}

impl Stream {
    pub(crate) fn new(stream: TcpStream, tls: Option<&Tls>) -> Self {
        match tls {
            None => Self::Plain(stream),
            Some(tls) => Self::Greeting(Box::new(tls.acceptor.accept(stream))),
        }
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Greeting(accept) => accept.get_ref(),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::Lost => None,
        }
    }

    pub(crate) fn set_nodelay(&self) {
        if let Some(tcp) = self.tcp() {
            let _ = tcp.set_nodelay(true);
        }
    }

    /// Makes the socket send RST when it is dropped.
    pub(crate) fn set_zero_linger(&self) -> io::Result<()> {
        self.tcp().map_or(Ok(()), TcpStream::set_zero_linger)
    }

    /// Sends the written bytes, then FIN. TLS has no `close_notify` then, as when a server crashes.
    pub(crate) fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut *self).poll_flush(cx))?;
        match self {
            Self::Tls(stream) => Pin::new(stream.get_mut().0).poll_shutdown(cx),
            other => Pin::new(other).poll_shutdown(cx),
        }
    }

    fn greeted(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut (dyn Io + Send)>>> {
        if let Self::Greeting(accept) = self {
            match ready!(Pin::new(&mut **accept).poll(cx)) {
                Ok(stream) => *self = Self::Tls(Box::new(stream)),
                Err(error) => {
                    *self = Self::Lost;
                    // Often the client's own alert: it does not trust the CA, or it sent plain HTTP.
                    tracing::warn!("TLS handshake failed: {error}");
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match self {
            Self::Plain(stream) => Ok(Pin::new(stream)),
            Self::Tls(stream) => Ok(Pin::new(&mut **stream)),
            Self::Greeting(_) | Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        })
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
        ready!(self.greeted(cx))?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.greeted(cx))?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.greeted(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self {
            // There is no TLS session to close yet.
            Self::Greeting(_) | Self::Lost => Poll::Ready(Ok(())),
            _ => ready!(self.greeted(cx))?.poll_shutdown(cx),
        }
    }
}
