//! Answers that something on the way compressed (RFC 9110 §8.4). They are asked for as they are, and gateways
//! compress all the same.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::error::Oddity;
use crate::json;
use crate::wire::Body;

/// How a gzip file begins (RFC 1952 §2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Room for an answer of Coze's, so that none is copied while it grows.
const USUAL: usize = 8 * 1024;

/// What is compressed in a body, by its own mark or by what its `Content-Encoding` says; none if the body is as it
/// was made. An HTTP client that decodes by itself may leave the header as it was, so a body that can be read is.
pub(crate) fn decoded(coding: Option<&str>, body: &[u8]) -> Result<Option<Body>, Oddity> {
    if body.starts_with(&GZIP) {
        return read(MultiGzDecoder::new(body)).map(Some);
    }
    let coding = coding.unwrap_or_default().trim().to_ascii_lowercase();
    match &*coding {
        _ if json::stripped(body).starts_with(b"{") => Ok(None),
        "" | "identity" | "gzip" | "x-gzip" => Ok(None),
        // In a wrapper (RFC 9110 §8.4.1.2), or without, as some servers have it.
        "deflate" => match read(ZlibDecoder::new(body)) {
            Err(Oddity::Coding) => read(DeflateDecoder::new(body)).map(Some),
            read => read.map(Some),
        },
        _ => Err(Oddity::Coding),
    }
}

/// Reads no more than an answer may have, however much is packed into it.
fn read(decoder: impl Read) -> Result<Body, Oddity> {
    let mut bytes = Vec::with_capacity(USUAL);
    let length = decoder
        .take(Body::READ_AT_MOST as u64)
        .read_to_end(&mut bytes);
    let body = Body::new(bytes);
    match length {
        Ok(length) if length < Body::READ_AT_MOST => Ok(body),
        Ok(_) => Err(Oddity::TooLong),
        Err(_) => Err(Oddity::Coding),
    }
}
