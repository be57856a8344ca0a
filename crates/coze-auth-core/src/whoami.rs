//! `GET /v1/users/me`: proves a token (protocol §10).

use crate::access_token::AccessToken;
use crate::endpoint::Endpoints;
use crate::envelope::Answer;
use crate::error::Error;
use crate::flow::Call;
use crate::wire::Outgoing;

/// The user whom a token speaks for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct User {
    /// Coze's id of the user, never empty.
    pub user_id: String,
    /// The login name; empty if there is none.
    pub user_name: String,
    /// The name shown to others; empty if there is none.
    pub nick_name: String,
    /// A link to a picture; empty if there is none.
    pub avatar_url: String,
}

/// Asks whom a token speaks for. A token that Coze does not know gives
/// [`Refused`](crate::Error::Refused) with the number 4100 or 700012006.
pub fn whoami(endpoints: &Endpoints, token: &AccessToken) -> Call<User> {
    Call::new(
        Outgoing::get(endpoints.users_me(), token.bearer()),
        |answer, _now| User::read(answer),
    )
}

impl User {
    fn read(answer: Answer<'_>) -> Result<Self, Error> {
        let data = answer.data()?;
        Ok(Self {
            user_id: data.text_or_number("user_id")?,
            user_name: data.name("user_name"),
            nick_name: data.name("nick_name"),
            avatar_url: data.name("avatar_url"),
        })
    }
}
