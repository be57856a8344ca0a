//! `GET /v1/users/me`, which tells whose a token is (protocol §10).

use std::borrow::Cow;

use serde_json::json;

use super::context::Context;
use crate::protocol::endpoint::PICTURE;
use crate::protocol::response::Answer;
use crate::state::user::User;

pub(super) fn users_me(ctx: &Context<'_>, user: &User) -> Answer {
    let served = || Cow::Owned(format!("{}{PICTURE}", ctx.request.base));
    let picture = user.avatar_url.as_deref();
    let picture = picture.map_or_else(served, Cow::Borrowed);
    Answer::json(&json!({
        "code": 0,
        "msg": "",
        "data": {
            "user_id": user.id,
            "user_name": user.name,
            "nick_name": user.nick,
            "avatar_url": picture,
        },
        "detail": { "logid": ctx.logid },
    }))
}
