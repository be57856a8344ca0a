//! TLS towards the server: whom it trusts, and what it shows of us.
//!
//! The configuration is made here with aws-lc, as the adapters have it. What the process has installed as its default provider is
//! neither needed nor changed, so none, one or two of them are alike, and nothing panics.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::options::RedisOptions;
use crate::settings::SettingsError;

const CA: &str = "CA file";
const CERTIFICATE: &str = "client certificate";
const KEY: &str = "key of the client certificate";

/// The configuration for one connection: the files are read anew each time.
pub(crate) fn config(options: &RedisOptions) -> Result<Arc<ClientConfig>, SettingsError> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| SettingsError::new("TLS", "aws-lc has no cipher suite that can be used"))?;
    let builder = match &options.ca_file {
        Some(file) => builder.with_root_certificates(roots(file)?),
        None => builder.with_platform_verifier().map_err(|error| {
            let why = format!(
                "the certificates that the operating system trusts cannot be read ({error}); install them \
                 (ca-certificates), or name the CA of the server by ca_file"
            );
            SettingsError::new(CA, why)
        })?,
    };
    let config = match &options.client_certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(CERTIFICATE, certificate)?;
            let key_der = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| in_file(KEY, key, why(&error, "private key")))?;
            builder
                .with_client_auth_cert(chain, key_der)
                .map_err(|error| {
                    in_file(
                        KEY,
                        key,
                        format!("cannot be used with the certificate: {error}"),
                    )
                })?
        }
    };
    Ok(Arc::new(config))
}

/// The CAs of a file, each of which must be one that a certificate can be checked against.
fn roots(file: &Path) -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates(CA, file)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            in_file(
                CA,
                file,
                format!("certificate {} in it cannot be a CA: {error}", at + 1),
            )
        })?;
    }
    Ok(roots)
}

/// All certificates of a file, of which there must be one.
fn certificates(
    what: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let all = CertificateDer::pem_file_iter(file)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>())
        .map_err(|error| in_file(what, file, why(&error, "certificate")))?;
    match all.is_empty() {
        true => Err(in_file(
            what,
            file,
            why(&pem::Error::NoItemsFound, "certificate"),
        )),
        false => Ok(all),
    }
}

fn why(error: &pem::Error, item: &str) -> String {
    match error {
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => format!(
            "has no {item} in PEM (-----BEGIN …-----); convert it if it is in DER: openssl … -inform DER -outform PEM"
        ),
        _ => "is not PEM as a whole: it may be cut off or have text in the middle of a block"
            .to_owned(),
    }
}

fn in_file(what: &'static str, file: &Path, why: String) -> SettingsError {
    SettingsError::new(what, format!("{} {why}", file.display()))
}
