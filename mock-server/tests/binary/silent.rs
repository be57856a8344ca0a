//! Thousands of connections on which nothing is said.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::hostile::resident;
use crate::support::*;

const SILENT: usize = 5_000;

/// Of this process, which has the other ends. Returns false if it may not have so many files.
fn may_open(files: u64) -> bool {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: Some(files),
        maximum,
    };
    maximum.is_none_or(|most| most >= files) && setrlimit(Resource::Nofile, wanted).is_ok()
}

fn asks(stream: &mut TcpStream) -> bool {
    let request = b"GET /v1/users/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer pat_mock_alice\r\n\r\n";
    let mut answer = [0; 4096];
    let sent = stream.write_all(request).is_ok();
    sent && stream
        .read(&mut answer)
        .is_ok_and(|_| answer.starts_with(b"HTTP/1.1 200"))
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    stream
}

/// With fewer file descriptors than connections, and with more of them.
#[test]
fn five_thousand_silent_connections_keep_nobody_else_waiting() {
    if !cfg!(target_os = "linux") || !may_open(SILENT as u64 + 1_000) {
        eprintln!("this process may not open 6,000 files, or this is not Linux: not tested");
        return;
    }
    for files in [200, 4_096] {
        let mut mock = Command::new("sh");
        mock.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]);
        mock.arg(env!("CARGO_BIN_EXE_coze-auth-mock"));
        mock.args(["--listen", "127.0.0.1:0", "--print", "json"]);
        mock.env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let (mut server, info) = start(&mut mock);
        let log = Lines::of(server.0.stderr.take().expect("its standard error"));
        let address = base_url(&info);
        let to: SocketAddr = address
            .strip_prefix("http://")
            .expect("http")
            .parse()
            .expect("an address");
        let mut kept = connect(to);
        assert!(asks(&mut kept));
        let mut longest = Duration::ZERO;
        let silent: Vec<_> = (0..SILENT)
            .map(|n| {
                let mut stream = connect(to);
                if n % 2 == 0 {
                    // A head without an end.
                    let _ = stream.write_all(b"GET / HTTP/1.1\r\nA: b");
                }
                if n % 100 == 99 {
                    let begun = Instant::now();
                    assert!(
                        asks(&mut connect(to)),
                        "a new one, after {n} silent ones, with {files} files"
                    );
                    assert!(
                        asks(&mut kept),
                        "the old one, after {n} silent ones, with {files} files"
                    );
                    longest = longest.max(begun.elapsed());
                }
                stream
            })
            .collect();
        let memory = resident(server.0.id());
        println!(
            "{files} files: {} silent connections, {} MB resident, others waited at most {longest:?}",
            silent.len(),
            memory >> 20
        );
        assert!(memory < 100 << 20, "{memory} bytes");
        let why = log.after("WARN ");
        assert!(
            why.contains("the connections that have been silent for longest are ended"),
            "{why}"
        );
        assert_eq!(why.contains("open files"), files == 200, "{why}");
    }
}
