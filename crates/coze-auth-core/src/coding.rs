//! Answers that something on the way compressed (RFC 9110 §8.4). They are asked for as they are, and gateways
//! compress all the same.

use std::io::Read;

use flate2::bufread::GzDecoder;
use flate2::read::{DeflateDecoder, ZlibDecoder};
use zeroize::Zeroizing;

use crate::error::Oddity;
use crate::json;
use crate::wire::Body;

/// How a gzip file begins (RFC 1952 §2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Room for an answer of Coze's, so that none is copied while it grows.
const USUAL: usize = 8 * 1024;
/// How often an answer is unpacked: each gateway on its way may have packed it again.
const LAYERS: usize = 3;

/// What is compressed in a body, by its own mark or by what its `Content-Encoding` says; none if the body is as it
/// was made. An HTTP client that decodes by itself may leave the header as it was, so a body that can be read is.
pub(crate) fn decoded(coding: Option<&str>, body: &[u8]) -> Result<Option<Body>, Oddity> {
    let coding = coding.unwrap_or_default().to_ascii_lowercase();
    let names = || coding.split(',').map(str::trim);
    let mut deflated = names().filter(|name| *name == "deflate").count();
    let mut unpacked: Option<Body> = None;
    for _ in 0..LAYERS {
        let bytes = unpacked.as_ref().map_or(body, Body::as_bytes);
        if bytes.starts_with(&GZIP) {
            unpacked = Some(gunzip(bytes)?);
        } else if json::stripped(bytes).starts_with(b"{") {
            return Ok(unpacked);
        } else if deflated > 0 {
            deflated -= 1;
            unpacked = Some(inflate(bytes)?);
        } else if is_zlib(bytes)
            && let Ok(inner) = read(ZlibDecoder::new(bytes))
        {
            unpacked = Some(inner);
        } else {
            let is_read = |name| matches!(name, "" | "identity" | "gzip" | "x-gzip" | "deflate");
            return match names().all(is_read) {
                true => Ok(unpacked),
                false => Err(Oddity::Coding),
            };
        }
    }
    Ok(unpacked)
}

/// How most streams begin that are called deflate or, falsely, gzip (RFC 1950 §2.2).
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..])
}

/// In a wrapper (RFC 9110 §8.4.1.2), or without, as some servers have it.
fn inflate(bytes: &[u8]) -> Result<Body, Oddity> {
    match read(ZlibDecoder::new(bytes)) {
        Err(Oddity::Coding) => read(DeflateDecoder::new(bytes)),
        read => read,
    }
}

/// All members of a gzip file. What stands behind them is padding.
fn gunzip(mut rest: &[u8]) -> Result<Body, Oddity> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL));
    while rest.starts_with(&GZIP) {
        let mut member = GzDecoder::new(rest);
        read_into(&mut bytes, &mut member)?;
        rest = member.into_inner();
    }
    Ok(Body::new(std::mem::take(&mut *bytes)))
}

fn read(mut decoder: impl Read) -> Result<Body, Oddity> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL));
    read_into(&mut bytes, &mut decoder)?;
    Ok(Body::new(std::mem::take(&mut *bytes)))
}

/// Reads no more than an answer may have, however much is packed into it.
fn read_into(bytes: &mut Vec<u8>, decoder: &mut impl Read) -> Result<(), Oddity> {
    let room = Body::READ_AT_MOST - bytes.len();
    let read = decoder.take(room as u64).read_to_end(bytes);
    match read {
        Ok(length) if length < room => Ok(()),
        Ok(_) => Err(Oddity::TooLong),
        Err(_) => Err(Oddity::Coding),
    }
}
