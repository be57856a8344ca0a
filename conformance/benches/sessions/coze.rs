//! A Coze that gives everyone a token, as fast as a socket can: what it does is not measured.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use coze_auth_core::Endpoints;
use coze_auth_core::error::SigningError;
use coze_auth_core::jwt::{JwtApp, Signer};

/// Its base URL.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    format!("http://{address}")
}

/// Until the client goes.
fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            match line.strip_prefix("content-length:") {
                Some(number) => length = number.trim().parse().ok()?,
                None if line.is_empty() => break,
                None => {}
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let body = answer(now);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
        let all = format!("{head} {}\r\n\r\n{body}", body.len());
        stream.write_all(all.as_bytes()).ok()?;
    }
}

/// A token of the length of Coze's, which lives for a quarter of an hour.
pub(crate) fn answer(now: u64) -> String {
    let end = now + 900;
    format!(
        r#"{{"access_token":"czs_{:064}","expires_in":{end}}}"#,
        now % 10
    )
}

/// An app whose key signs at once.
pub(crate) fn app(base: &str) -> JwtApp {
    let endpoints = Endpoints::custom(base).expect("a base");
    JwtApp::new(endpoints, "1", "key", Key).expect("an app")
}

struct Key;

impl Signer for Key {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        Ok(vec![7; 256])
    }
}
