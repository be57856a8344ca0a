//! What a program needs to reach the real service through a running shadow.

use std::{fs, io};

use url::Url;

use super::{Client, ca_lines, export, key_file};
use crate::cli::Failure;
use crate::cli::http::Target;

/// The lines for a shell. An https base stays as it is, and the shadow is the proxy; a plain one is that of a mock on this machine, and
/// the shadow is the base.
pub(super) fn lines(target: &Target, client: Client, shadow: &Url) -> Result<String, Failure> {
    let report = target.at(shadow, "/shadow")?.json();
    let hosts = &report["upstream"];
    let (Some(upstream), Some(integration)) = (hosts[0].as_str(), hosts[2].as_str()) else {
        let text = format!(
            "{shadow} is not a shadow: start one with coze-auth-mock shadow --upstream URL"
        );
        return Err(Failure::Reason(text));
    };
    let base = shadow.as_str().trim_end_matches('/');
    let bases = |api: &str, integration: &str| match client {
        // Its settings are whole URLs (protocol §15.1).
        Client::WorkloadPython => {
            let token = format!("{api}/.well-known/token");
            export("COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT", &token)
                + &export("COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT", &token)
                + &export(
                    "COZE_OUTBOUND_AUTH_ENDPOINT",
                    &format!("{integration}/api/v1/secret"),
                )
        }
        client if client.is_of_loop() => export("COZELOOP_API_BASE_URL", api),
        _ => export("COZE_API_BASE", api),
    };
    if upstream.starts_with("http://") {
        return Ok(bases(base, base));
    }
    let pem = target.at(shadow, "/shadow/ca.pem")?.text;
    let port = shadow.port().unwrap_or(80);
    let file = std::env::temp_dir().join(format!("coze-auth-mock-shadow-{port}.pem"));
    // A new file, since others may write to the folder: who owns the file decides whom the program trusts.
    let removed = match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let written = removed.and_then(|()| key_file::write(&file, &pem, false));
    written.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let mut lines = bases(upstream, integration) + &export("HTTPS_PROXY", base);
    lines += &ca_lines(&file, "");
    match client {
        // Node reads the variable of the proxy from version 24 on, and if it is told to.
        Client::Js => lines += &export("NODE_USE_ENV_PROXY", "1"),
        Client::Java | Client::LoopJava => {
            let host = shadow.host_str().unwrap_or("127.0.0.1");
            let options = format!("-Dhttps.proxyHost={host} -Dhttps.proxyPort={port}");
            lines += &export("JAVA_TOOL_OPTIONS", &options);
            lines += "# Java trusts what is in its trust store: keytool -importcert -noprompt -alias shadow -file \"$SSL_CERT_FILE\" -keystore shadow.jks -storepass changeit\n";
            lines += "# and then -Djavax.net.ssl.trustStore=shadow.jks -Djavax.net.ssl.trustStorePassword=changeit\n";
        }
        _ => {}
    }
    Ok(lines)
}
