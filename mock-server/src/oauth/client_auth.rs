//! Client authentication, and the check that a code or token was issued to the client.

use super::context::Context;
use crate::protocol::digest::same;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Credential;
use crate::protocol::rules::Rule;
use crate::state::grants::AppIndex;

pub(super) fn issued_to(
    ctx: &mut Context<'_>,
    rule: Rule,
    owner: AppIndex,
    app: AppIndex,
) -> Result<(), Refusal> {
    if owner == app {
        return Ok(());
    }
    let owner = ctx.state.app(owner).client_id.clone();
    ctx.require(rule, false, || {
        (
            format!("the client id {owner}, to which it was issued"),
            "another client id",
        )
    })
}

/// Authenticates a client. A web app sends its secret as Bearer credential. Public clients send none or an empty one
/// (protocol §2.3); what they send is not checked.
pub(super) fn authenticate(ctx: &mut Context<'_>, app: AppIndex) -> Result<(), Refusal> {
    let credential = ctx.request.credential()?;
    let Some(secret) = ctx.state.app(app).client_secret.as_deref() else {
        return Ok(());
    };
    let header = ctx.request.has_authorization();
    let sent = match credential {
        Credential::Bearer(sent) => Some(sent),
        _ => None,
    };
    let (length, right) = (secret.len(), sent.is_some_and(|sent| same(sent, secret)));
    ctx.require(Rule::ClientSecretMissing, sent.is_some(), || {
        (
            "the client secret as Bearer credential",
            credential.describe(header),
        )
    })?;
    let Some(sent) = sent else { return Ok(()) };
    ctx.require(Rule::ClientSecret, right, || {
        let expected = format!("the client secret of the app, {length} characters");
        (
            expected,
            format!("{} other characters", sent.chars().count()),
        )
    })
}
