//! The head of a request of a browser: its first line, and what says whether it was navigated to.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::page::Page;

/// Maximum number of bytes of a head. A callback of Coze has some hundred.
const LONGEST: usize = 16 * 1024;

/// The head of a request.
pub(super) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads one, for at most so long; the page to answer with if it is none.
    pub(super) fn read(mut stream: &TcpStream, within: Duration) -> Result<Self, Page> {
        let deadline = Instant::now() + within;
        let mut head = Vec::new();
        let mut part = [0; 2048];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
                return Err(Page::TooSlow);
            }
            match stream.read(&mut part) {
                Ok(0) => return Err(Page::Unreadable),
                Ok(count) => head.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return Err(Page::TooSlow);
                }
                Err(_) => return Err(Page::Unreadable),
            }
            // TLS, say, which would wait for an answer of its own kind.
            if !head[0].is_ascii_alphabetic() {
                return Err(Page::Unreadable);
            }
            if let Some(end) = end_of_head(&head) {
                return match end <= LONGEST {
                    true => Self::parse(&head[..end]).ok_or(Page::Unreadable),
                    false => Err(Page::TooLong),
                };
            }
            if head.len() > LONGEST {
                return Err(Page::TooLong);
            }
        }
    }

    fn parse(head: &[u8]) -> Option<Self> {
        let head = str::from_utf8(head).ok()?;
        let mut lines = head.lines();
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() || !version.starts_with("HTTP/1.") {
            return None;
        }
        // A proxy is sent the whole address (RFC 9112 §3.2.2).
        let target = match target.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => target,
        };
        let headers = lines.filter_map(|line| line.split_once(':'));
        Some(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
        })
    }

    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Whether a tab went there, as far as the browser says: `navigate` and `document`, from whatever site. An image, a script or a
    /// frame is not how Coze sends a person back.
    pub(super) fn is_navigation(&self) -> bool {
        let is = |name: &str, wanted: &str| {
            let mut values = self.headers.iter().filter(|(own, _)| own == name);
            values.all(|(_, value)| value == wanted)
        };
        is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
    }
}

/// Where the empty line behind the headers ends.
fn end_of_head(head: &[u8]) -> Option<usize> {
    let after = |end: &[u8]| {
        let at = head.windows(end.len()).position(|window| window == end);
        at.map(|at| at + end.len())
    };
    after(b"\r\n\r\n").or_else(|| after(b"\n\n"))
}
