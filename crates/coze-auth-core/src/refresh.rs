//! The refresh request, the same for web, PKCE and device apps (protocol §2.4).

use serde::Serialize;

use crate::endpoint::Endpoints;
use crate::error::GrantType;
use crate::flow::Call;
use crate::secret::{ClientSecret, RefreshToken};
use crate::token::TokenGrant;
use crate::wire::Outgoing;

#[derive(Serialize)]
struct RefreshRequest<'a> {
    grant_type: &'static str,
    client_id: &'a str,
    refresh_token: &'a str,
}

/// Trades a refresh token for a new grant. The token is spent by it; if the answer names no new one,
/// the grant keeps the old one rather than none.
pub(crate) fn refresh(
    endpoints: &Endpoints,
    client_id: &str,
    secret: Option<&ClientSecret>,
    token: &RefreshToken,
) -> Call<TokenGrant> {
    let body = RefreshRequest {
        grant_type: "refresh_token",
        client_id,
        refresh_token: token.expose(),
    };
    let request = Outgoing::post(endpoints.token(), secret.map(ClientSecret::bearer), &body);
    let old = token.clone();
    Call::new(
        request.trading(GrantType::RefreshToken),
        move |answer, now| {
            let mut grant = TokenGrant::read(&answer, now)?;
            grant.refresh_token.get_or_insert_with(|| old.clone());
            Ok(grant)
        },
    )
}
