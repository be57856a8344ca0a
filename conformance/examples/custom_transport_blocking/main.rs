//! `cargo run -p coze-auth-conformance --example custom_transport_blocking`: a token source over attohttpc, and requests of
//! the application's own through it, against an embedded mock server. Nothing leaves this machine.

#[path = "../custom_transport/mock.rs"]
mod mock;
mod transport;

use std::error::Error;
use std::io::Read as _;
use std::time::Duration;

use coze_auth_mock::CozeAuthMock;
use coze_auth_tokens::PeekableBody;
use coze_auth_tokens::blocking::TokenSource;
use coze_auth_tokens::core::http::Request;
use coze_auth_tokens::core::jwt::JwtGrant;

use crate::transport::AttohttpcTransport;

fn main() -> Result<(), Box<dyn Error>> {
    let mock = CozeAuthMock::builder().start_blocking()?;
    let app = mock::jwt_app(&mock)?;
    let tokens = TokenSource::jwt(&AttohttpcTransport, app, JwtGrant::new()); // keep it
    println!("these are tokens of {}", tokens.whoami()?.user_name);

    // The answer streams: its body is looked at where it is JSON, and handed on from the first byte.
    let minute = Duration::from_secs(60);
    let send =
        |request| transport::send(request, minute).map(|answer| answer.map(PeekableBody::new));
    let url = format!("{}/v1/users/me", mock.base_url());
    let request = Request::get(url).body(Vec::new())?;
    let answer = tokens.send_with(request.clone(), send)?;
    println!("asked with a good token: {}", answer.status());

    mock.revoke(tokens.token()?.expose());
    let answer = tokens.send_with(request, send)?; // refused, renewed, sent once more
    println!("asked with a revoked one: {}", answer.status());
    let mut body = String::new();
    answer.into_body().read_to_string(&mut body)?;
    println!("{body}");

    println!("the server saw:");
    mock::print_journal(&mock);
    tokens.close()?;
    Ok(())
}
