//! What a workload gets with its access token: the credentials of integrations, and the project's variables (protocol §15.5).

use serde_json::{Value, json};

use super::access_token;
use super::context::Context;
use super::workload::lane;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Credential;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::app::AppKind;
use crate::state::grants::AppIndex;

pub(super) fn answer(endpoint: Endpoint<'_>, ctx: &mut Context<'_>) -> Result<Answer, Refusal> {
    let app = workload_of_token(ctx)?;
    lane(ctx)?;
    let data = match endpoint {
        Endpoint::Integration => integration(ctx, app)?,
        _ => json!({ "secrets": ctx.state.app(app).variables }),
    };
    Ok(Answer::json(
        &json!({ "code": 0, "msg": "success", "data": data }),
    ))
}

/// The workload whose access token the request brings.
fn workload_of_token(ctx: &mut Context<'_>) -> Result<AppIndex, Refusal> {
    let credential = ctx.request.credential()?;
    let header = ctx.request.has_authorization();
    let refuse = |detail: &str, actual: String| Refusal {
        rule: Rule::WorkloadAccess,
        detail: detail.to_owned(),
        expected: "the access token of a workload as Bearer credential".to_owned(),
        actual,
    };
    let invalid = "authentication is invalid";
    let Credential::Bearer(secret) = credential else {
        return Err(refuse(invalid, credential.describe(header).to_owned()));
    };
    ctx.draft.note_presented(secret);
    let key = ctx.key(secret);
    let found = ctx.state.access_tokens.get(&key).cloned();
    let app = found.as_ref().and_then(|token| token.app);
    let app = app.filter(|app| ctx.state.app(*app).kind == AppKind::Workload);
    let (Some(token), Some(app)) = (found, app) else {
        let note = ctx.state.access_tokens.eviction_note();
        let actual = match ctx.state.id_tokens.get(&key) {
            Some(_) => "an id token, which has to be exchanged first".to_owned(),
            None => format!("unknown token {}{note}", redact::mask(secret)),
        };
        // What golang-jwt says of a text without two stops, which a PAT is (protocol §15.4).
        let detail = match secret.split('.').count() {
            3 => invalid,
            _ => "token contains an invalid number of segments",
        };
        return Err(refuse(detail, actual));
    };
    access_token::judge(ctx, token)?;
    Ok(app)
}

fn integration(ctx: &mut Context<'_>, app: AppIndex) -> Result<Value, Refusal> {
    let body = ctx.json_body()?;
    let name = body.text("integration_name")?;
    let all = &ctx.state.app(app).integrations;
    let Some(found) = all.iter().find(|one| one.name == name) else {
        let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        return Err(Refusal {
            rule: Rule::WorkloadIntegration,
            detail: String::new(),
            expected: format!("an integration of the project: {}", names.join(", ")),
            actual: format!("integration_name {}", redact::scrub(name)),
        });
    };
    Ok(json!({ "credential": found.credential }))
}
