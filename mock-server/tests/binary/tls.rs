//! https from the command line.

use std::process::Command;

use crate::support::*;

#[test]
fn every_command_speaks_https_to_who_has_the_ca() {
    let folder = Folder::new("tls");
    let ca = folder.path("ca.pem");
    let (_server, info) = serve(&["--tls", "self", "--tls-ca", &ca]);
    let url = base_url(&info);
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    assert_eq!(info["ca_pem_url"], format!("{url}/_mock/v1/ca.pem"));
    assert_eq!(run(&["health", &url, "--ca", &ca]).status.code(), Some(0));
    let clock = out(&["ctl", "--url", &url, "--ca", &ca, "clock"]);
    assert!(clock.ends_with("(real)\n"), "{clock}");
    let lines = out(&["env", "--for", "shell", "--url", &url, "--ca", &ca]);
    assert!(
        lines.contains(&format!("export SSL_CERT_FILE='{ca}'\n")),
        "{lines}"
    );
    assert!(
        lines.contains(&format!("export NODE_EXTRA_CA_CERTS='{ca}'")),
        "{lines}"
    );

    let (_, said) = failure(&["ctl", "--url", &url, "clock"]);
    assert!(
        said.contains("https needs the certificate of the mock's CA: set --ca FILE"),
        "{said}"
    );
    let other = folder.path("other.pem");
    let (_other, _) = serve(&["--tls", "self", "--tls-ca", &other]);
    let (_, said) = failure(&["health", &url, "--ca", &other]);
    assert!(said.contains("invalid peer certificate"), "{said}");
    let (_, said) = failure(&["health", &url, "--ca", &folder.path("none.pem")]);
    assert!(said.contains("none.pem"), "{said}");
}

/// A client that nobody here wrote.
#[test]
fn curl_believes_the_ca() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("no curl here: not tested");
        return;
    }
    let folder = Folder::new("curl");
    let ca = folder.path("ca.pem");
    let (_server, info) = serve(&["--tls", "self", "--tls-ca", &ca]);
    let me = format!("{}/v1/users/me", base_url(&info));
    let curl = |more: &[&str]| {
        let bearer = [
            "-sS",
            "--noproxy",
            "*",
            "-H",
            "Authorization: Bearer pat_mock_alice",
        ];
        let curl = Command::new("curl")
            .args(bearer)
            .args(more)
            .arg(&me)
            .output();
        let curl = curl.expect("curl is installed");
        (
            curl.status.code(),
            String::from_utf8(curl.stdout).expect("text"),
        )
    };
    let (code, text) = curl(&["--cacert", &ca]);
    assert_eq!(code, Some(0));
    assert!(text.contains("\"user_name\":\"alice\""), "{text}");
    // It does not believe what it does not know.
    assert_eq!(curl(&[]).0, Some(60));
}

#[test]
fn invalid_tls_settings_are_refused_at_the_start() {
    let folder = Folder::new("tls-wrong");
    let nowhere = folder.path("none.pem");
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let (_, said) =
        failure(&[&serve[..], &["--tls-cert", &nowhere, "--tls-key", &nowhere]].concat());
    assert!(
        said.contains("cannot use TLS") && said.contains("none.pem"),
        "{said}"
    );
    let (_, said) = failure(&[&serve[..], &["--tls-ca", &nowhere]].concat());
    assert!(said.contains("this mock has no CA"), "{said}");
    let config = folder.write("c.toml", "tls = \"slef\"\n");
    let (status, said) = failure(&["check", &config]);
    assert_eq!(status, 2);
    assert!(
        said.contains(":1:7: expected tls = \"self\", \"off\" or {"),
        "{said}"
    );
    let config = folder.write("d.toml", "tls = \"self\"\n");
    let (_server, info) = start(&mut command(&[
        "-c",
        &config,
        "--listen",
        "127.0.0.1:0",
        "--print",
        "json",
    ]));
    assert!(base_url(&info).starts_with("https://"));
    let (_server, info) = start(&mut command(&[
        "-c",
        &config,
        "--listen",
        "127.0.0.1:0",
        "--print",
        "json",
        "--tls",
        "off",
    ]));
    assert!(base_url(&info).starts_with("http://"));
}
