//! `cargo run -p coze-auth-conformance --example custom_transport`: a token source over hyper 1, and requests of the
//! application's own through its own hyper client, against an embedded mock server. Nothing leaves this machine.

mod mock;
mod transport;

use std::error::Error;

use coze_auth_mock::CozeAuthMock;
use coze_auth_tokens::PeekableBody;
use coze_auth_tokens::core::http::Request;
use coze_auth_tokens::core::jwt::JwtGrant;
use coze_auth_tokens::tokio::TokenSource;
use http_body_util::{BodyExt as _, Full};

use crate::transport::HyperTransport;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mock = CozeAuthMock::builder().start().await?;
    let transport = HyperTransport::new();
    let tokens = TokenSource::jwt(&transport, mock::jwt_app(&mock)?, JwtGrant::new()); // keep it
    println!("these are tokens of {}", tokens.whoami().await?.user_name);

    // The answer streams: its body is looked at where it is JSON, and handed on from the first byte.
    let http = transport.http; // the application's own, of whatever kind
    let send = |request| {
        let sent = http.request(request);
        async { sent.await.map(|answer| answer.map(PeekableBody::new)) }
    };
    let url = format!("{}/v1/users/me", mock.base_url());
    let request = Request::get(url).body(Full::default())?;
    let answer = tokens.send_with(request.clone(), send).await?;
    println!("asked with a good token: {}", answer.status());

    mock.revoke(tokens.token().await?.expose());
    let answer = tokens.send_with(request, send).await?; // refused, renewed, sent once more
    println!("asked with a revoked one: {}", answer.status());
    let body = answer.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&body));

    println!("the server saw:");
    mock::print_journal(&mock);
    tokens.close().await?;
    Ok(())
}
