//! Certificates that a test makes, and servers that have them.
#![allow(dead_code)] // no test file uses all of it

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

use crate::server::other_engine;

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

/// A folder with certificates, which goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("coze-auth-redis-tls-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a file");
        path
    }

    /// A CA, in `NAME.pem`.
    pub(crate) fn authority(&self, name: &str) -> Authority {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("a CA");
        self.write(&format!("{name}.pem"), authority.pem());
        authority
    }

    /// A certificate for this host or client by this CA, in `NAME.pem`, with its key in `NAME.key`.
    pub(crate) fn certificate(
        &self,
        authority: &Authority,
        name: &str,
        host: &str,
    ) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([host.to_owned()]).expect("parameters");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, authority).expect("signed");
        (
            self.write(&format!("{name}.pem"), certificate.pem()),
            self.write(&format!("{name}.key"), key.serialize_pem()),
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns true if the server that all tests take has no TLS: the test is skipped by name.
pub(crate) fn has_no_tls(test: &str) -> bool {
    let Some(file) = other_engine() else {
        return false;
    };
    let why = format!("{} is not known to have TLS", file.display());
    // Past the test harness, which shows nothing of a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
    true
}

/// Lines of configuration: TLS at this port with the certificate `NAME.pem`. Clients need one by `ca.pem` if `clients` says `yes`.
pub(crate) fn tls_lines(folder: &Folder, port: u16, name: &str, clients: &str) -> Vec<String> {
    let file = |name: String| folder.path(&name).display().to_string();
    vec![
        format!("tls-port {port}"),
        format!("tls-cert-file \"{}\"", file(format!("{name}.pem"))),
        format!("tls-key-file \"{}\"", file(format!("{name}.key"))),
        format!("tls-ca-cert-file \"{}\"", file("ca.pem".to_owned())),
        format!("tls-auth-clients {clients}"),
    ]
}
