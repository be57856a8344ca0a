//! A body that is looked into and handed on as it arrived, and what an answer says of a token.

use std::fmt;
use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use coze_auth_core::http::{HeaderMap, StatusCode};
use coze_auth_core::rejection::{LOOKED_AT, is_json, rejects_token};

/// A streaming body whose beginning can be looked at. Its reader gets all of it, from the first byte.
///
/// It is for the answers of an HTTP client of your own, in `send_with`: put the body into one, and read on from the one that
/// comes back. It is a [`Read`] if the body is, and an `http_body::Body` (with the feature `tokio`) if the body is.
///
/// ```
/// use std::io::Read as _;
///
/// use coze_auth_tokens::PeekableBody;
/// use coze_auth_tokens::blocking::Answer as _;
/// use coze_auth_tokens::core::http::Response;
///
/// let mut answer = Response::new(PeekableBody::new(&b"{\"code\":0}"[..]));
/// assert_eq!(answer.peek(5)?, b"{\"cod");
/// let mut all = String::new();
/// answer.into_body().read_to_string(&mut all)?;
/// assert_eq!(all, r#"{"code":0}"#);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct PeekableBody<B> {
    /// Read, and not yet given to the owner.
    pub(crate) read: Bytes,
    /// What followed it. HTTP/1 and HTTP/2 have trailers at the end alone.
    #[cfg(feature = "tokio")]
    pub(crate) trailers: Option<HeaderMap>,
    /// It has said so, and must not be polled again: not every body can be.
    #[cfg(feature = "tokio")]
    pub(crate) ended: bool,
    pub(crate) rest: B,
}

impl<B> PeekableBody<B> {
    /// Over a body of which nothing has been read.
    pub fn new(body: B) -> Self {
        Self {
            read: Bytes::new(),
            #[cfg(feature = "tokio")]
            trailers: None,
            #[cfg(feature = "tokio")]
            ended: false,
            rest: body,
        }
    }
}

impl<B> fmt::Debug for PeekableBody<B> {
    /// Without a word of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeekableBody").finish_non_exhaustive()
    }
}

impl<R: Read> PeekableBody<R> {
    pub(crate) fn read_ahead(&mut self, at_most: usize) -> io::Result<&[u8]> {
        if let Some(more) = at_most.checked_sub(self.read.len()) {
            let mut read = Vec::from(std::mem::take(&mut self.read));
            let ended = self.rest.by_ref().take(more as u64).read_to_end(&mut read);
            self.read = read.into();
            ended?;
        }
        Ok(&self.read[..at_most.min(self.read.len())])
    }
}

impl<R: Read> Read for PeekableBody<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.read.has_remaining() {
            true => self
                .read
                .as_ref()
                .read(buffer)
                .inspect(|&length| self.read.advance(length)),
            false => self.rest.read(buffer),
        }
    }
}

/// How much of an answer with these headers is looked at; none of one that is not JSON.
pub(crate) fn looks_at(headers: &HeaderMap) -> Option<usize> {
    // One more tells that it is too long to be one of Coze's errors.
    is_json(headers).then_some(LOOKED_AT + 1)
}

/// Returns true if an answer with this status and beginning refuses the token that it was asked with.
pub(crate) fn refuses(status: StatusCode, beginning: Option<&[u8]>) -> bool {
    rejects_token(status, beginning.filter(|read| read.len() <= LOOKED_AT))
}
