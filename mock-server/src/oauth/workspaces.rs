//! `GET /v1/workspaces`, the workspaces of a token's user, by pages (protocol §10.1).

use serde_json::{Value, json};
use url::form_urlencoded;

use super::context::Context;
use crate::limits::MAX_PAGE;
use crate::protocol::endpoint::PICTURE;
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::user::User;

/// Number of workspaces of a page if the request does not say it.
const PAGE_SIZE: u64 = 10;

pub(super) fn workspaces(ctx: &Context<'_>, user: &User) -> Result<Answer, Refusal> {
    let (page_num, page_size) = page(ctx.request.query.as_deref().unwrap_or(""))?;
    let own = [(&user.workspace, "owner", "personal")];
    let joined = user.workspaces.iter().map(|id| (id, "member", "team"));
    let all: Vec<_> = own.into_iter().chain(joined).collect();
    let first = page_size.saturating_mul(page_num - 1);
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let size = usize::try_from(page_size).unwrap_or(usize::MAX);
    let icon = format!("{}{PICTURE}", ctx.request.base);
    let shown = all.iter().skip(first).take(size);
    let shown: Value = shown.map(|one| describe(one, &icon)).collect();
    Ok(Answer::json(&json!({
        "code": 0,
        "msg": "",
        "data": { "total_count": all.len(), "workspaces": shown },
        "detail": { "logid": ctx.logid },
    })))
}

fn describe((id, role, kind): &(&String, &str, &str), icon: &str) -> Value {
    json!({
        "id": id,
        "name": id,
        "icon_url": icon,
        "role_type": role,
        "workspace_type": kind,
        "enterprise_id": "",
    })
}

/// Number and size of the page. Other parameters, such as those that coze-go has, are ignored.
fn page(query: &str) -> Result<(u64, u64), Refusal> {
    let (mut number, mut size) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let (name, most, place) = match &*name {
            "page_num" => ("page_num", u64::MAX, &mut number),
            "page_size" => ("page_size", MAX_PAGE, &mut size),
            _ => continue,
        };
        if place.is_some() {
            return Err(Refusal::parameter(Rule::ParamOnce, name, "twice"));
        }
        let read = value.parse().ok().filter(|n| (1..=most).contains(n));
        *place = Some(read.ok_or_else(|| Refusal {
            rule: Rule::ParamPage,
            detail: name.to_owned(),
            expected: match name {
                "page_num" => "page_num, a whole number from 1".to_owned(),
                _ => format!("page_size, a whole number from 1 to {MAX_PAGE}"),
            },
            actual: format!("{name}: {}", redact::places::value(&value)),
        })?);
    }
    Ok((number.unwrap_or(1), size.unwrap_or(PAGE_SIZE)))
}
