//! Memory under a long run: refresh tokens that rotate, and JWT grants while the clock goes on.

use std::process::ExitCode;
use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::http::{Connection, TOKEN, log_in, member, post_json, refresh};
use crate::mb;
use crate::process::{MOCK, Process};

const GRANTS: usize = 10_000;
const ROTATIONS: usize = 1_000_000;
const ASSERTIONS: usize = 1_000_000;
/// After so many its memory is what it stays: the mock's own limits are met.
const SETTLED: usize = 100_000;

/// Of the allocator: what is freed and taken again does not lie as close.
const GROWTH: f64 = 1.05;
/// A second of the mock's clock is so many grants.
const A_SECOND: usize = 1_000;
const START: u64 = 1_767_225_600;

pub(crate) fn run() -> ExitCode {
    let mock = Process::start(&MOCK, None);
    let mut connection = Connection::new(mock.to).expect("a connection");
    set_clock(
        &mut connection,
        &format!(r#"{{"set_ms":{}}}"#, START * 1000),
    );
    set_clock(&mut connection, r#"{"mode":"frozen"}"#);
    let flat = rotations(&mock, &mut connection) & jwt_grants(&mock, &mut connection);
    match flat {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn set_clock(connection: &mut Connection, body: &str) {
    connection.ok(&post_json("/_mock/v1/clock", "none", body));
}

fn rotations(mock: &Process, connection: &mut Connection) -> bool {
    let mut tokens: Vec<_> = (0..GRANTS).map(|_| log_in(connection)).collect();
    let begun = Instant::now();
    let mut settled = 0;
    for n in 0..ROTATIONS {
        let token = &mut tokens[n % GRANTS];
        let body = connection.ok(&refresh(token));
        *token = member(body, "refresh_token").to_owned();
        if n % A_SECOND == A_SECOND - 1 {
            set_clock(connection, r#"{"advance_ms":1000}"#);
        }
        if n + 1 == SETTLED {
            settled = mock.memory();
        }
    }
    let what = format!("{} refresh rotations over {} grants", ROTATIONS, GRANTS);
    tell(&what, settled, mock.memory(), SETTLED, begun)
}

fn jwt_grants(mock: &Process, connection: &mut Connection) -> bool {
    let pem = include_bytes!("../../dev-key.pem");
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem).expect("a key");
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("an RSA key");
    let clock = connection
        .ask(b"GET /_mock/v1/clock HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .expect("the clock");
    let (_, now) = clock.split_once("\"now_ms\":").expect("a time");
    let digits: String = now.chars().take_while(char::is_ascii_digit).collect();
    let mut now = digits.parse::<u64>().expect("a number") / 1000;
    let begun = Instant::now();
    let mut settled = 0;
    for n in 0..ASSERTIONS {
        let assertion = assertion(&key, now, n);
        let body = r#"{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","duration_seconds":900}"#;
        connection.ok(&post_json(TOKEN, &assertion, body));
        if n % A_SECOND == A_SECOND - 1 {
            set_clock(connection, r#"{"advance_ms":1000}"#);
            now += 1;
        }
        if n + 1 == SETTLED {
            settled = mock.memory();
        }
    }
    let what = format!("{} JWT grants", ASSERTIONS);
    tell(&what, settled, mock.memory(), SETTLED, begun)
}

fn assertion(key: &RsaKeyPair, now: u64, n: usize) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = format!(
        r#"{{"iss":"100000000001","aud":"api.coze.cn","iat":{now},"exp":{},"jti":"soak-{n}"}}"#,
        now + 60
    );
    let header = r#"{"alg":"RS256","typ":"JWT","kid":"mock-jwt-key-1"}"#;
    let signed = format!("{}.{}", part(header), part(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn tell(what: &str, settled: u64, end: u64, after: usize, begun: Instant) -> bool {
    let flat = mb(end) <= mb(settled) * GROWTH;
    let verdict = if flat { "FLAT" } else { "NOT FLAT" };
    println!(
        "{what}: resident {:.1} MB after {after}, {:.1} MB at the end, {:.0} s  {verdict}",
        mb(settled),
        mb(end),
        begun.elapsed().as_secs_f64()
    );
    flat
}
