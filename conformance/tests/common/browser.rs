//! What a browser does with an address.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Asks for a page of this machine, and returns where its answer leads to: none if it is the page itself.
pub(crate) fn redirect_of(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://").expect("plain http");
    let (authority, path) = rest.split_once('/').expect("a path");
    let mut stream = TcpStream::connect(authority).expect("it listens");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location")
            .then(|| value.to_owned())
    })
}
