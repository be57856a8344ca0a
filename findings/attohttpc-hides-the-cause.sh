#!/bin/sh
# Crate attohttpc 0.31.0: its Error names the reason in the deprecated Error::cause() and not in source().
#  1 A connection that is refused: Display says "Io Error: Connection refused (os error 111)", cause() gives the io::Error (borrowed, so it cannot be downcast), source() gives nothing.
#  2 So whoever walks the chain of sources, as anyhow, eyre and loggers do, or looks for the io::Error there to tell "refused" from "reset", finds nothing;
#    the io::Error is to be had only by matching on ErrorKind::Io of kind().
# Its neighbours ureq 3 and reqwest 0.13 have it in their variant or in the chain of sources.
# Needs cargo and a C compiler's linker. Nothing is sent: port 1 of this machine is closed. Exit 0: behaves as described. About half a minute.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT; cd "$T"; mkdir src
cat > Cargo.toml <<'C'
[package]
name = "t"
version = "0.1.0"
edition = "2021"
[profile.dev]
debug = false
[dependencies]
attohttpc = { version = "=0.31.0", default-features = false }
C
cat > src/main.rs <<'R'
use std::error::Error;
#[allow(deprecated)]
fn main() {
    let error = attohttpc::get("http://127.0.0.1:1/").send().unwrap_err();
    let by_cause = error.cause().is_some_and(|cause| cause.to_string().starts_with("Connection refused"));
    let by_kind = matches!(error.kind(), attohttpc::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused);
    println!("attohttpc 0.31.0: \"{error}\" | source: {} | cause tells it: {by_cause} | kind is Io, refused: {by_kind}", error.source().is_some());
    std::process::exit(i32::from(error.source().is_some() || !by_cause || !by_kind));
}
R
cargo run -q
