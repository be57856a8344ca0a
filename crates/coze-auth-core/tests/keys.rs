//! Private keys as people have them: every layout that can mean one key only is read, and of the rest the
//! error says what it is (protocol §5).
#![cfg(feature = "rs256-aws-lc")]

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use coze_auth_core::error::Problem;
use coze_auth_core::jwt::{RsaKey, Signer as _};

/// A key made for this run, in DER.
struct TestKey {
    pkcs8: Vec<u8>,
    pkcs1: Vec<u8>,
    public: Vec<u8>,
    spki: Vec<u8>,
}

fn key() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("DER");
        TestKey {
            // A PKCS#8 of an RSA key is a head of 26 bytes before the PKCS#1 (RFC 5208 §5) at this size.
            pkcs1: der.as_ref()[26..].to_vec(),
            pkcs8: der.as_ref().to_vec(),
            public: pair.public_key().as_ref().to_vec(),
            spki: spki.as_ref().to_vec(),
        }
    })
}

fn lines(der: &[u8], width: usize) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(width)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    lines.join("\n")
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = lines(der, 64);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn pkcs8() -> String {
    pem("PRIVATE KEY", &key().pkcs8)
}

fn pkcs1() -> String {
    pem("RSA PRIVATE KEY", &key().pkcs1)
}

/// Of one key, all the ways in which people have it.
fn layouts() -> Vec<(&'static str, String)> {
    let (pem8, pem1) = (pkcs8(), pkcs1());
    let one_line = pem8.trim_end().replace('\n', " ");
    let body = lines(&key().pkcs8, 64);
    let escaped = pem8.replace('\n', "\\n");
    let json = serde_json::to_string(&pem8).unwrap();
    let quoted_lines: Vec<String> = pem8.lines().map(|line| format!("  \"{line}\"")).collect();
    let prefixed = |sign: &str| {
        let lines: Vec<String> = pem8.lines().map(|line| format!("{sign}{line}")).collect();
        lines.join("\n")
    };
    vec![
        ("PKCS#8, as the console gives it", pem8.clone()),
        ("PKCS#1", pem1.clone()),
        ("no line break at the end", pem8.trim_end().to_owned()),
        ("CRLF", pem8.replace('\n', "\r\n")),
        ("CR", pem8.replace('\n', "\r")),
        ("Unicode line separators", pem8.replace('\n', "\u{2028}")),
        (
            "lines of 76",
            format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
                lines(&key().pkcs8, 76)
            ),
        ),
        (
            "a body of one line",
            format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
                STANDARD.encode(&key().pkcs8)
            ),
        ),
        ("blank lines between", pem8.replace('\n', "\n\n")),
        (
            "blank lines and spaces around",
            format!("\n \n{pem8}\n\t\n"),
        ),
        ("trailing spaces", pem8.replace('\n', "  \n")),
        ("indented by YAML", prefixed("    ")),
        ("indented by tabs", prefixed("\t")),
        ("spaces instead of line breaks", one_line.clone()),
        (
            "spaces instead of line breaks, PKCS#1",
            pem1.trim_end().replace('\n', " "),
        ),
        (
            "tabs instead of line breaks",
            one_line
                .replace(' ', "\t")
                .replace("PRIVATE\tKEY", "PRIVATE KEY")
                .replace("BEGIN\t", "BEGIN ")
                .replace("END\t", "END "),
        ),
        ("non-breaking spaces", one_line.replace(' ', "\u{a0}")),
        ("nothing instead of line breaks", pem8.replace('\n', "")),
        ("no white space at all", pem8.replace(['\n', ' '], "")),
        ("\\n written out", escaped.clone()),
        ("\\r\\n written out", pem1.replace('\n', "\\r\\n")),
        ("\\n escaped twice", pem8.replace('\n', "\\\\n")),
        ("\\n escaped three times", pem8.replace('\n', "\\\\\\\\n")),
        (
            "\\n written out, and line breaks",
            pem8.replace('\n', "\\n\n"),
        ),
        ("\\n written out, and spaces", pem8.replace('\n', "\\n ")),
        (
            "a backslash at each end of a line",
            pem8.replace('\n', "\\\n"),
        ),
        ("an n for each \\n", pem8.replace('\n', "n")),
        ("PowerShell's `n", pem8.replace('\n', "`n")),
        ("JSON string", json.clone()),
        (
            "JSON string in a JSON string",
            serde_json::to_string(&json).unwrap(),
        ),
        (
            "JSON string with \\/ and \\u003d",
            json.replace('/', "\\/")
                .replace('=', "\\u003d")
                .replace('+', "\\u002b"),
        ),
        ("JSON member", format!("\"private_key\": {json},")),
        (
            "JSON list of lines",
            format!("[\n{}\n]", quoted_lines.join(",\n")),
        ),
        (
            "a whole JSON file",
            format!("{{\"private_key\":{json},\"public_key_id\":\"k\"}}"),
        ),
        ("double quotes", format!("\"{pem8}\"")),
        ("single quotes", format!("'{pem8}'")),
        ("single quotes, \\n written out", format!("'{escaped}'")),
        ("single quotes, spaces", format!("'{one_line}'")),
        ("both quotes", format!("'\"{escaped}\"'")),
        ("an opening quote alone", format!("\"{pem8}")),
        ("backticks", format!("`{pem8}`")),
        ("typographic quotes", format!("\u{201c}{escaped}\u{201d}")),
        (
            "the variable's name in front",
            format!("COZE_JWT_OAUTH_PRIVATE_KEY=\"{escaped}\""),
        ),
        (
            "export in front",
            format!("export COZE_JWT_OAUTH_PRIVATE_KEY='{pem8}'"),
        ),
        ("YAML", format!("private_key: |\n{}", prefixed("  "))),
        ("mail", prefixed("> ")),
        ("comments", prefixed("# ")),
        (
            "Bag Attributes in front",
            format!(
                "Bag Attributes\n    friendlyName: coze\nKey Attributes: <No Attributes>\n{pem8}"
            ),
        ),
        (
            "words around",
            format!("My key, do not BEGIN to share it:\n{pem8}\nThe END"),
        ),
        ("a byte order mark", format!("\u{feff}{pem8}")),
        ("zero-width spaces", pem8.replace('\n', "\u{200b}\n")),
        ("soft hyphens", pem8.replace('\n', "\u{ad}\n")),
        (
            "em dashes of a word processor",
            pem8.replace("-----", "\u{2014}\u{2014}-"),
        ),
        (
            "en dashes of a word processor",
            pem8.replace("-----", "\u{2013}\u{2013}\u{2013}"),
        ),
        (
            "full-width",
            pem8.chars()
                .map(|c| {
                    char::from_u32(u32::from(c) + 0xfee0)
                        .filter(|_| c.is_ascii_graphic())
                        .unwrap_or(c)
                })
                .collect(),
        ),
        ("four dashes", pem8.replace("-----", "----")),
        ("no dashes", pem8.replace("-----", "")),
        (
            "lower-case armour",
            pem8.replace("BEGIN PRIVATE KEY", "begin private key")
                .replace("END PRIVATE KEY", "end private key"),
        ),
        (
            "percent-encoded",
            url::form_urlencoded::byte_serialize(pem8.as_bytes())
                .collect::<String>()
                .replace('+', "%20"),
        ),
        (
            "as a form",
            url::form_urlencoded::byte_serialize(pem8.as_bytes()).collect(),
        ),
        ("the other label", pem("RSA PRIVATE KEY", &key().pkcs8)),
        ("the other label, PKCS#1", pem("PRIVATE KEY", &key().pkcs1)),
        ("two labels", pem8.replace("END PRIVATE", "END RSA PRIVATE")),
        ("no padding", pem8.replace('=', "")),
        ("base64url", pem8.replace('+', "-").replace('/', "_")),
        (
            "no END line",
            pem8.replace("-----END PRIVATE KEY-----\n", ""),
        ),
        (
            "a part of the END line",
            pem8.replace("-----END PRIVATE KEY-----\n", "-----END PRI"),
        ),
        (
            "no BEGIN line",
            pem8.replace("-----BEGIN PRIVATE KEY-----\n", ""),
        ),
        ("base64 of the file", STANDARD.encode(&pem8)),
        ("base64 of the file in lines", lines(pem8.as_bytes(), 76)),
        (
            "base64 of the file, unpadded",
            STANDARD_NO_PAD.encode(&pem8),
        ),
        ("base64url of the file", URL_SAFE.encode(&pem8)),
        (
            "base64 of base64 of the file",
            STANDARD.encode(STANDARD.encode(&pem8)),
        ),
        (
            "base64 of the file, in quotes",
            format!("\"{}\"", STANDARD.encode(&pem8)),
        ),
        ("base64 of DER", STANDARD.encode(&key().pkcs8)),
        ("base64 of DER in lines", body),
        ("base64 of DER, PKCS#1", STANDARD.encode(&key().pkcs1)),
        (
            "base64url of DER, unpadded",
            URL_SAFE_NO_PAD.encode(&key().pkcs8),
        ),
        (
            "a certificate beside it",
            format!("{}{pem8}", pem("CERTIFICATE", b"any")),
        ),
        (
            "the public key beside it",
            format!("{pem8}{}", pem("PUBLIC KEY", &key().spki)),
        ),
        ("the same key twice", format!("{pem8}{pem8}")),
    ]
}

#[test]
fn one_key_in_every_layout_that_can_mean_one_key_only() {
    let expected = {
        let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&key().pkcs8).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        let algorithm = &aws_lc_rs::signature::RSA_PKCS1_SHA256;
        pair.sign(algorithm, &random, b"message", &mut signature)
            .unwrap();
        signature
    };
    let mut refused = Vec::new();
    for (name, text) in layouts() {
        match RsaKey::from_pem(&text) {
            Ok(key) => assert_eq!(
                key.sign_rs256(b"message").unwrap(),
                expected,
                "{name}: another key"
            ),
            Err(error) => refused.push(format!("{name}: {error}")),
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    assert_eq!(
        format!("{:?}", RsaKey::from_pem(&pkcs8()).unwrap()),
        "RsaKey(2048 bits)"
    );
}

/// PKCS#8 with this algorithm and any key.
fn pkcs8_of(oid: &[u8]) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
    let algorithm = element(0x30, &element(0x06, oid));
    element(
        0x30,
        &[&[2, 1, 0], &algorithm[..], &element(4, &[7; 34])].concat(),
    )
}

fn ec() -> Vec<u8> {
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = aws_lc_rs::signature::EcdsaKeyPair::generate(algorithm).unwrap();
    pair.to_pkcs8v1().unwrap().as_ref().to_vec()
}

/// An RSA private key of so many bits, its numbers made up: nobody computes with it.
fn rsa_of(bits: usize) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], content].concat()
    };
    let modulus = [&[0][..], &vec![0xff; bits / 8]].concat();
    let numbers: Vec<u8> = (0..7).flat_map(|_| element(2, &[5; 64])).collect();
    element(
        0x30,
        &[&element(2, &[0])[..], &element(2, &modulus), &numbers].concat(),
    )
}

#[test]
fn of_everything_else_the_error_says_what_it_is() {
    let good = pkcs8();
    let body = lines(&key().pkcs8, 64);
    let changed = |at: usize| {
        let mut der = key().pkcs8.clone();
        der[at] ^= 1;
        pem("PRIVATE KEY", &der)
    };
    let other = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let other: Pkcs8V1Der<'_> = other.as_der().unwrap();
    let other = pem("PRIVATE KEY", other.as_ref());
    let certificate = [
        &[0x30, 17][..],
        &[0x30, 8, 0xa0, 3, 2, 1, 2, 2, 1, 1],
        &[0x30, 2, 6, 0],
        &[3, 1, 0],
    ]
    .concat();
    let encrypted = [&[0x30, 8][..], &[0x30, 2, 6, 0], &[4, 2, 1, 1]].concat();
    let der_as_text = String::from_utf8_lossy(&key().pkcs8).into_owned();
    let cases = [
        (
            "a public key",
            pem("PUBLIC KEY", &key().spki),
            "it is the public key; the private one is asked for",
        ),
        (
            "a public key, PKCS#1",
            pem("RSA PUBLIC KEY", &key().public),
            "it is the public key",
        ),
        (
            "a public key on one line",
            pem("PUBLIC KEY", &key().spki).replace('\n', " "),
            "it is the public key",
        ),
        (
            "a public key without armour",
            STANDARD.encode(&key().spki),
            "it is the public key",
        ),
        (
            "a public key in base64",
            STANDARD.encode(pem("PUBLIC KEY", &key().spki)),
            "it is the public key",
        ),
        (
            "a public key with the wrong label",
            pem("PRIVATE KEY", &key().spki),
            "it is the public key",
        ),
        (
            "a public key of OpenSSH",
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ me@host".to_owned(),
            "it is a public key in OpenSSH's form",
        ),
        (
            "a certificate",
            pem("CERTIFICATE", &certificate),
            "it is a certificate; the private key is asked for",
        ),
        (
            "a certificate with the wrong label",
            pem("PRIVATE KEY", &certificate),
            "it is a certificate",
        ),
        (
            "a certificate request",
            pem("CERTIFICATE REQUEST", b"any"),
            "it is a certificate request",
        ),
        (
            "an encrypted key",
            pem("ENCRYPTED PRIVATE KEY", &encrypted),
            "it is encrypted; decrypt it first (openssl pkey -in key.pem)",
        ),
        (
            "an encrypted key without armour",
            STANDARD.encode(&encrypted),
            "it is encrypted",
        ),
        (
            "an encrypted key of old",
            good.replace(
                "KEY-----\nMII",
                "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0A\n\nMII",
            ),
            "it is encrypted",
        ),
        (
            "an encrypted key of old on one line",
            good.replace(
                "KEY-----\nMII",
                "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0A\n\nMII",
            )
            .replace('\n', " "),
            "it is encrypted",
        ),
        (
            "OpenSSH",
            pem("OPENSSH PRIVATE KEY", b"openssh-key-v1"),
            "it is in OpenSSH's form (ssh-keygen -p -m PEM -f FILE converts it)",
        ),
        (
            "PuTTY",
            "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none".to_owned(),
            "it is in PuTTY's form",
        ),
        (
            "PGP",
            pem("PGP PRIVATE KEY BLOCK", b"any"),
            "it is a PGP key",
        ),
        (
            "a JWK",
            r#"{"kty":"RSA","n":"AQAB"}"#.to_owned(),
            "it is a JWK; PEM is asked for",
        ),
        (
            "EC, SEC1",
            pem("EC PRIVATE KEY", b"any"),
            "it is an EC key and not an RSA key; Coze takes RS256 only",
        ),
        (
            "EC, with parameters",
            format!(
                "{}{}",
                pem("EC PARAMETERS", b"any"),
                pem("EC PRIVATE KEY", b"any")
            ),
            "it is an EC key and not an RSA key",
        ),
        (
            "EC, PKCS#8",
            pem("PRIVATE KEY", &ec()),
            "it is an EC key and not an RSA key",
        ),
        (
            "Ed25519",
            pem("PRIVATE KEY", &pkcs8_of(&[0x2b, 0x65, 0x70])),
            "it is an Ed25519 key and not an RSA key",
        ),
        (
            "Ed25519 without armour",
            STANDARD.encode(pkcs8_of(&[0x2b, 0x65, 0x70])),
            "it is an Ed25519 key",
        ),
        (
            "DSA",
            pem(
                "PRIVATE KEY",
                &pkcs8_of(&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1]),
            ),
            "it is a DSA key",
        ),
        (
            "RSA-PSS",
            pem(
                "PRIVATE KEY",
                &pkcs8_of(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]),
            ),
            "it is an RSA-PSS key, and Coze takes RS256 only",
        ),
        (
            "another algorithm",
            pem("PRIVATE KEY", &pkcs8_of(&[0x2b, 0x65, 0x71])),
            "it is not an RSA key, or it is damaged",
        ),
        (
            "two keys",
            format!("{good}{other}"),
            "it holds 2 private keys; one is asked for",
        ),
        (
            "two keys on one line",
            format!("{good}{other}").replace('\n', " "),
            "it holds 2 private keys",
        ),
        (
            "a key and an encrypted key",
            format!("{good}{}", pem("ENCRYPTED PRIVATE KEY", &encrypted)),
            "it holds 2 private keys",
        ),
        (
            "1,024 bits",
            pem("RSA PRIVATE KEY", &rsa_of(1024)),
            "it has 1024 bits; at least 2,048 are asked for",
        ),
        (
            "16,384 bits",
            pem("RSA PRIVATE KEY", &rsa_of(16384)),
            "it has 16384 bits; at most 8,192 can be used",
        ),
        (
            "cut off",
            format!("{}\n-----END PRIVATE KEY-----", &good[..900]),
            "it was cut off or damaged: by its first bytes it has 12",
        ),
        (
            "cut off, END and all",
            good[..900].to_owned(),
            "it was cut off or damaged",
        ),
        (
            "cut off without armour",
            body[..900].to_owned(),
            "it was cut off or damaged",
        ),
        (
            "cut off in front",
            good[200..].to_owned(),
            "its BEGIN line is missing",
        ),
        (
            "a line is missing",
            good.replacen(&good[92..157], "", 1),
            "it was cut off or damaged",
        ),
        (
            "a line twice",
            good.replacen(&good[92..157], &good[92..157].repeat(2), 1),
            "it is damaged, or something was added to it: by its first bytes it has 12",
        ),
        (
            "one character changed",
            changed(200),
            "it is damaged: its numbers do not belong together",
        ),
        (
            "one character changed in the middle",
            changed(900),
            "it is damaged: its numbers do not belong together",
        ),
        (
            "one character of another alphabet",
            good.replacen("MII", "M*I", 1),
            "it is damaged: it has a character at byte 29 that base64 does not have",
        ),
        (
            "an excerpt",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQ...\n-----END PRIVATE KEY-----".to_owned(),
            "it is an excerpt: a part of it is left out",
        ),
        (
            "the armour alone",
            "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----".to_owned(),
            "there is nothing between its BEGIN and END lines",
        ),
        (
            "nonsense in armour",
            pem("PRIVATE KEY", b"nonsense"),
            "it is damaged: what it holds is not a key",
        ),
        (
            "a file of DER as text",
            der_as_text,
            "it is a file of DER, read as text",
        ),
        (
            "a path",
            "/etc/coze/private_key.pem".to_owned(),
            "it looks like a path",
        ),
        (
            "a path of Windows",
            r"C:\keys\new.pem".to_owned(),
            "it looks like a path",
        ),
        (
            "a file's name",
            "private_key.pem".to_owned(),
            "it looks like a path",
        ),
        (
            "a password",
            "hunter2".to_owned(),
            "it has no line BEGIN PRIVATE KEY",
        ),
        (
            "a key id",
            "Vt4xk1uKrKmUQ0m0dfaDqWnYxkqZ0a8TmVfqpgkEr5s".to_owned(),
            "it has no line BEGIN PRIVATE KEY",
        ),
        (
            "a placeholder",
            "<your private key>".to_owned(),
            "it is a placeholder; put the value",
        ),
        (
            "a placeholder in quotes",
            "\"your_private_key\"".to_owned(),
            "it is a placeholder; put the value",
        ),
        (
            "a reference",
            "${COZE_JWT_OAUTH_PRIVATE_KEY}".to_owned(),
            "it is a placeholder; put the value",
        ),
        (
            "the variable's name",
            "COZE_JWT_OAUTH_PRIVATE_KEY".to_owned(),
            "it is the name of a variable and not its value",
        ),
        (
            "PKCS#12",
            STANDARD.encode([&[0x30, 7, 2, 1, 3, 0x30, 2, 6, 0][..]].concat()),
            "it is a PKCS#12 file",
        ),
        (
            "more than two primes",
            pem(
                "RSA PRIVATE KEY",
                &[&[0x30, 29][..], &[2, 1, 1].repeat(9), &[0x30, 0]].concat(),
            ),
            "it is a key of more than two primes",
        ),
        (
            "something else in armour",
            pem("X509 CRL", b"any"),
            "it is something else than a private key",
        ),
    ];
    for (name, text, reason) in cases {
        let error = RsaKey::from_pem(&text).expect_err(name);
        assert!(
            matches!(error.problem(), Problem::Key(why) if why.starts_with(reason)),
            "{name}: {error}"
        );
        let start = "private key: is not a usable RSA private key: ";
        assert!(error.to_string().starts_with(start), "{name}: {error}");
    }
    for nothing in ["", " \n", "\"\"", "\u{feff}"] {
        assert_eq!(
            RsaKey::from_pem(nothing).unwrap_err().problem(),
            &Problem::Empty
        );
    }
}
