//! Private keys and secrets that were handed to the command: nothing that it prints has a piece of one.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

use crate::support::*;

/// So many characters or bytes in a row are a piece of a secret.
const PIECE: usize = 12;

/// What must not be printed, in each form in which a program may print bytes.
struct Secret {
    /// The key's own bytes, and those of the file in which it stands.
    bytes: Vec<Vec<u8>>,
    pieces: HashSet<Vec<u8>>,
    numbers: Regex,
    hex: Regex,
}

impl Secret {
    fn new(pem: &str) -> Self {
        let body: String = pem.lines().filter(|line| !line.contains("-----")).collect();
        let der = STANDARD.decode(&body).expect("base64");
        let pieces = body.as_bytes().windows(PIECE).map(<[u8]>::to_vec).collect();
        Self {
            bytes: vec![der, body.into_bytes(), pem.replace('\n', "").into_bytes()],
            pieces,
            numbers: Regex::new(r"\d{1,3}(?:,\s*\d{1,3}){11,}").expect("a pattern"),
            hex: Regex::new(r"(?i)(?:[0-9a-f]{2}[\s:]?){12,}").expect("a pattern"),
        }
    }

    fn has(&self, piece: &[u8]) -> bool {
        let has = |bytes: &Vec<u8>| bytes.windows(piece.len()).any(|part| part == piece);
        piece.len() >= PIECE && self.bytes.iter().any(has)
    }

    /// The first piece of the secret in a text: as it is, over several lines, as numbers, in hex.
    fn in_text(&self, text: &[u8]) -> Option<String> {
        let flat: Vec<u8> = text.iter().copied().filter(u8::is_ascii_graphic).collect();
        for part in flat.windows(PIECE) {
            if self.pieces.contains(part) {
                return Some(String::from_utf8_lossy(part).into_owned());
            }
        }
        let text = String::from_utf8_lossy(text);
        for found in self.numbers.find_iter(&text) {
            let numbers: Vec<u8> = found
                .as_str()
                .split(',')
                .filter_map(|number| number.trim().parse().ok())
                .collect();
            if numbers.windows(PIECE).any(|part| self.has(part)) {
                return Some(found.as_str().chars().take(60).collect());
            }
        }
        for found in self.hex.find_iter(&text) {
            let digits: Vec<u8> = found
                .as_str()
                .bytes()
                .filter(u8::is_ascii_hexdigit)
                .collect();
            let bytes = digits
                .chunks_exact(2)
                .filter_map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
            let bytes: Vec<u8> = bytes.collect();
            if bytes.windows(PIECE).any(|part| self.has(part)) {
                return Some(found.as_str().chars().take(60).collect());
            }
        }
        None
    }
}

/// Files in which the key stands as people have damaged it, each with what happened to it.
fn damaged(pem: &str) -> Vec<(String, Vec<u8>)> {
    let lines: Vec<&str> = pem.trim_end().lines().collect();
    let body = lines[1..lines.len() - 1].join("");
    let der = STANDARD.decode(&body).expect("base64");
    let (begin, end) = (lines[0], lines[lines.len() - 1]);
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: &str, bytes: Vec<u8>| all.push((what.to_owned(), bytes));
    add("without line ends", lines.concat().into_bytes());
    add("with spaces for line ends", lines.join(" ").into_bytes());
    add("with CRLF", lines.join("\r\n").into_bytes());
    add("with CR", lines.join("\r").into_bytes());
    add("with line ends written out", lines.join("\\n").into_bytes());
    add("with a BOM", [b"\xef\xbb\xbf", pem.as_bytes()].concat());
    add(
        "in UTF-16",
        pem.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    );
    add("in DER", der.clone());
    add(
        "in hex",
        der.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into_bytes(),
    );
    add("as numbers", format!("{der:?}").into_bytes());
    add("without BEGIN", lines[1..].join("\n").into_bytes());
    add(
        "without END",
        lines[..lines.len() - 1].join("\n").into_bytes(),
    );
    add("without both", body.clone().into_bytes());
    add("in base64 twice", STANDARD.encode(pem).into_bytes());
    add("in quotes", format!("\"{pem}\"").into_bytes());
    add(
        "in JSON",
        serde_json::json!({ "private_key": pem })
            .to_string()
            .into_bytes(),
    );
    add("in TOML", format!("key = '''\n{pem}'''\n").into_bytes());
    add("in TOML, bare", format!("key = {pem}").into_bytes());
    add(
        "in TOML, as names",
        lines[1..lines.len() - 1]
            .iter()
            .map(|line| format!("\"{line}\" = 1\n"))
            .collect::<String>()
            .into_bytes(),
    );
    add(
        "in TOML, as bare names",
        format!("{} = 1\n", body.replace(['+', '/', '='], "_")).into_bytes(),
    );
    add(
        "in TOML, as an app",
        format!("[[app]]\nclient_id = '{body}'\nkind = '{body}'\n").into_bytes(),
    );
    add(
        "in TOML, as a value of each key",
        [
            "seed",
            "listen",
            "public_url",
            "allowed_origins",
            "allowed_hosts",
            "tls",
            "tls_names",
            "consent",
            "accounts",
            "enterprises",
            "clock",
            "rules",
            "answers",
            "ttl",
            "limits",
            "user",
            "app",
            "token",
            "fault",
            "api",
        ]
        .map(|key| format!("{key} = '{body}'\n"))
        .concat()
        .into_bytes(),
    );
    add(
        "in YAML",
        format!("key: |\n  {}", lines.join("\n  ")).into_bytes(),
    );
    add(
        "indented",
        lines
            .iter()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
            .into_bytes(),
    );
    add("twice", pem.repeat(2).into_bytes());
    add("twice on one line", lines.concat().repeat(2).into_bytes());
    add("in four dashes", pem.replace("-----", "----").into_bytes());
    add("in six dashes", pem.replace("-----", "------").into_bytes());
    add(
        "with both labels on one line",
        format!("{begin}{body}{end}\n").into_bytes(),
    );
    add(
        "with the body on one line",
        format!("{begin}\n{body}\n{end}\n").into_bytes(),
    );
    add(
        "with BEGIN on the line of the body",
        format!("{begin}{body}\n{end}\n").into_bytes(),
    );
    add(
        "with END on the line of the body",
        format!("{begin}\n{body}{end}\n").into_bytes(),
    );
    add(
        "with a blank line after each",
        lines.join("\n\n").into_bytes(),
    );
    add("with a zero byte", pem.replace('M', "\0").into_bytes());
    add(
        "with bytes that are not text",
        [&pem.as_bytes()[..200], b"\xff\xfe", &pem.as_bytes()[200..]].concat(),
    );
    add(
        "encrypted by its first lines",
        pem.replacen(
            '\n',
            "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n",
            1,
        )
        .into_bytes(),
    );
    add(
        "with a comment before it",
        format!("the key of our server: {pem}").into_bytes(),
    );
    add(
        "with words behind BEGIN",
        pem.replacen('\n', " of our server\n", 1).into_bytes(),
    );
    for label in [
        "PUBLIC KEY",
        "CERTIFICATE",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "DSA PRIVATE KEY",
        "X509 CRL",
        "CERTIFICATE REQUEST",
        "private key",
        "PRIVATEKEY",
        "",
        "PRIVATE KEY BLOCK",
    ] {
        add(
            &format!("with the label {label:?}"),
            pem.replace("PRIVATE KEY", label).into_bytes(),
        );
        let end = pem.replacen("PRIVATE KEY", label, 1);
        add(&format!("with BEGIN {label:?} alone"), end.into_bytes());
    }
    for sign in [
        '!', '=', '-', ' ', '_', '\t', 'é', '"', '\'', '\\', '{', '[', '#', ':',
    ] {
        let mut wrong = lines[..lines.len() - 1].join("\n");
        wrong.insert(120, sign);
        add(
            &format!("with {sign:?} in its body"),
            format!("{wrong}\n{end}\n").into_bytes(),
        );
    }
    for percent in (3..100).step_by(8) {
        let at = pem.len() * percent / 100;
        add(
            &format!("cut off after {percent} %"),
            pem.as_bytes()[..at].to_vec(),
        );
        let without = [
            &pem.as_bytes()[..at],
            &pem.as_bytes()[(at + 7).min(pem.len())..],
        ]
        .concat();
        add(&format!("without 7 bytes after {percent} %"), without);
    }
    all
}

/// All that a command prints until it ends or, if it serves, until it listens.
fn printed(arguments: &[&str]) -> Vec<u8> {
    let mut command = command(arguments);
    let mut server = Server(command.stdin(Stdio::null()).spawn().expect("it starts"));
    let mut out = server.0.stdout.take().expect("its standard output");
    let mut errors = server.0.stderr.take().expect("its standard error");
    let mut buffer = vec![0; 64 * 1024];
    let read = out.read(&mut buffer).expect("it is read");
    buffer.truncate(read);
    let _ = server.0.kill();
    out.read_to_end(&mut buffer).expect("it is read");
    errors.read_to_end(&mut buffer).expect("it is read");
    buffer
}

/// The answer to a request with a body and a credential.
fn post(base_url: &str, path: &str, bearer: &str, body: &str) -> String {
    let address = base_url.strip_prefix("http://").expect("an http URL");
    let mut stream = TcpStream::connect(address).expect("a connection");
    let bearer = match bearer.is_empty() {
        true => String::new(),
        false => format!("Authorization: Bearer {bearer}\r\n"),
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n{bearer}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(body.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn no_piece_of_a_private_key_is_ever_printed() {
    let folder = Folder::new("keys");
    let made =
        rcgen::generate_simple_self_signed(["own.example".to_owned()]).expect("a certificate");
    let certificate = folder.write("cert.pem", &made.cert.pem());
    let ca = folder.path("ca.pem");
    let log = folder.path("log.txt");
    let mut server = command(&[
        "--tls",
        "self",
        "--tls-ca",
        &ca,
        "--listen",
        "127.0.0.1:0",
        "--print",
        "json",
    ]);
    server
        .stderr(std::fs::File::create(&log).expect("a log"))
        .env("RUST_LOG", "trace");
    let (server, info) = start(&mut server);
    let url = base_url(&info);
    let plain_log = folder.path("plain.txt");
    let mut plain = command(&["--listen", "127.0.0.1:0", "--print", "json"]);
    plain.stderr(std::fs::File::create(&plain_log).expect("a log"));
    let (plain, info) = start(&mut plain);
    let plain_url = base_url(&info);

    let keys = [
        include_str!("../../dev-key.pem")
            .split_once("-----BEGIN")
            .map(|(_, key)| format!("-----BEGIN{key}"))
            .expect("a key"),
        made.signing_key.serialize_pem(),
    ];
    let mut found = String::new();
    let mut files = 0;
    for (number, pem) in keys.iter().enumerate() {
        let secret = Secret::new(pem);
        let mut all = damaged(pem);
        if number > 0 {
            // Of the second key every third is enough.
            let mut n = 0;
            all.retain(|_| {
                n += 1;
                n % 3 == 0
            });
        }
        files += all.len();
        let half = all.len().div_ceil(4);
        let tried = |all: &[(String, Vec<u8>)], nth: usize| {
            let mut found = String::new();
            for (n, (what, bytes)) in all.iter().enumerate() {
                let name = format!("key-{number}-{nth}-{n}.pem");
                let file = folder.path(&name);
                std::fs::write(&file, bytes).expect("written");
                let text = String::from_utf8_lossy(bytes);
                let config = format!(
                    "[[app]]\nkind = \"jwt\"\nclient_id = \"1\"\nkeys = [{{ kid = \"a\", public_pem_file = \"{name}\" }}, {{ kid = \"b\", public_pem = {} }}, {{ kid = \"c\", public_pem_file = {} }}]\n",
                    serde_json::json!(text),
                    serde_json::json!(text)
                );
                let config = folder.write(&format!("{name}.toml"), &config);
                let serve = ["serve", "--listen", "127.0.0.1:0", "--tls-cert"];
                for arguments in [
                    &[&serve[..], &[&certificate, "--tls-key", &file]].concat()[..],
                    &[&serve[..], &[&file, "--tls-key", &file]].concat(),
                    &["health", &url, "--ca", &file],
                    &["check", &file],
                    &["check", &config],
                ] {
                    if let Some(piece) = secret.in_text(&printed(arguments)) {
                        let _ = writeln!(found, "{what}: {:?} prints {piece}", &arguments[..1]);
                    }
                }
                // What the shell makes of $(cat key.pem).
                let text = text.replace('\0', "");
                if n.is_multiple_of(8) && !text.is_empty() {
                    for arguments in [
                        &[
                            "serve",
                            "--listen",
                            "127.0.0.1:0",
                            "--tls-cert",
                            &certificate,
                            "--tls-key",
                            &text,
                        ][..],
                        &["health", &url, "--ca", &text],
                        &["serve", "--listen", "127.0.0.1:0", "--admin-token", &text],
                        &["serve", "--listen", &text],
                        &["serve", "--config", &text],
                        &["check", &text],
                    ] {
                        if let Some(piece) = secret.in_text(&printed(arguments)) {
                            let _ = writeln!(
                                found,
                                "{what}: the text for {:?} prints {piece}",
                                &arguments[..arguments.len() - 1]
                            );
                        }
                    }
                }
            }
            found
        };
        thread::scope(|scope| {
            let parts = all.chunks(half).enumerate();
            let threads: Vec<_> = parts
                .map(|(nth, part)| scope.spawn(move || tried(part, nth)))
                .collect();
            for thread in threads {
                found += &thread.join().expect("no panic");
            }
        });
        // The same over HTTP, on both planes: as a configuration, as a credential, as a body.
        for (n, (what, bytes)) in all.iter().enumerate() {
            let text = String::from_utf8_lossy(bytes);
            let app = format!(
                "[[app]]\nkind = \"jwt\"\nclient_id = \"1\"\nkeys = [{{ kid = \"b\", public_pem = {} }}]\n",
                serde_json::json!(text)
            );
            for toml in [&*text, &app] {
                let world = serde_json::json!({ "name": format!("w{n}"), "config": toml });
                let answer = post(&plain_url, "/_mock/v1/worlds", "", &world.to_string());
                if let Some(piece) = secret.in_text(answer.as_bytes()) {
                    let _ = writeln!(found, "{what}: POST /worlds answers {piece}");
                }
            }
            let flat: String = text.chars().filter(char::is_ascii_graphic).collect();
            for body in [
                text.to_string(),
                serde_json::json!({ "grant_type": text, "client_id": text, "client_secret": text })
                    .to_string(),
            ] {
                for path in [
                    "/api/permission/oauth2/token",
                    "/_mock/v1/clock",
                    "/_mock/v1/apps",
                ] {
                    let answer = post(&plain_url, path, &flat, &body);
                    if let Some(piece) = secret.in_text(answer.as_bytes()) {
                        let _ = writeln!(found, "{what}: {path} answers {piece}");
                    }
                }
            }
        }
        let journal = ask(
            &plain_url,
            "/_mock/v1/requests?limit=2000",
            &["Host: localhost"],
        );
        assert!(journal.len() > 10_000, "{journal}");
        for (what, text) in [
            ("the log", std::fs::read(&log).expect("the log")),
            (
                "the log of the other",
                std::fs::read(&plain_log).expect("the log"),
            ),
            ("the journal", journal.into_bytes()),
        ] {
            assert!(!text.is_empty() || what == "the log", "{what}");
            if let Some(piece) = secret.in_text(&text) {
                let _ = writeln!(found, "{what}: {piece}");
            }
        }
    }
    drop((server, plain));
    assert!(files > 120, "{files}");
    assert!(
        found.is_empty(),
        "{} places:\n{found}",
        found.lines().count()
    );
}

/// The search finds what it is for.
#[test]
fn a_printed_key_is_found_in_each_form() {
    let pem = include_str!("../../dev-key.pem");
    let (_, pem) = pem.split_once("-----BEGIN").expect("a key");
    let pem = format!("-----BEGIN{pem}");
    let secret = Secret::new(&pem);
    let body: String = pem.lines().filter(|line| !line.contains("-----")).collect();
    let der = STANDARD.decode(&body).expect("base64");
    let hex: String = der[100..120]
        .iter()
        .map(|byte| format!("{byte:02X}:"))
        .collect();
    for text in [
        format!("error: {}", &body[300..330]),
        format!("illegal section start: {:?}", &body.as_bytes()[50..80]),
        format!(
            "illegal section start: {:?}",
            pem.replace('\n', "").as_bytes()
        ),
        format!("{:#?}", &der[40..70]),
        format!("bytes {hex}"),
        pem.clone(),
    ] {
        assert!(secret.in_text(text.as_bytes()).is_some(), "{text}");
    }
    for text in [
        "",
        "1, 2, 3",
        "-----BEGIN PRIVATE KEY-----",
        "expected one of a, b",
        &"a1".repeat(40),
    ] {
        assert_eq!(secret.in_text(text.as_bytes()), None, "{text}");
    }
}
