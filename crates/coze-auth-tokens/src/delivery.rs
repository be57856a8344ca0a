//! What the answer to a request of the application's own says, and what is sent next.

use coze_auth_core::AccessToken;
use coze_auth_core::http::Method;
use coze_auth_core::rejection::may_go_directly;

use crate::{Error, Source};

/// What an answer that refuses a token is about.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums)] // an adapter builds it: there is nothing else to refuse
pub enum Refused {
    /// The token that was sent.
    Token,
    /// A request that was redirected, ended at this URL, and need not have the token any more.
    Without(String),
}

/// What to do with an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums)] // an adapter does what it says
pub enum Then {
    /// Give it to the application.
    HandOn,
    /// Send the request to this URL, with the same token: only the answer to a request that surely carried it counts.
    Directly(String),
    /// Send the request once more, if there is another token now.
    Again,
}

/// A request of the application's own, and the one that is sent in its place.
#[derive(Clone, Debug)]
pub struct Delivery {
    method: Method,
    url: String,
    repeatable: bool,
    directly: bool,
    again: bool,
}

impl Delivery {
    /// Of a request to this URL, which can or cannot be sent twice.
    pub fn new(method: &Method, url: String, repeatable: bool) -> Self {
        Self {
            method: method.clone(),
            url,
            repeatable,
            directly: false,
            again: false,
        }
    }

    /// What to do with its answer, which may have refused this token. The source knows afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::RefusedElsewhere`] if it is not known what the answer says of the token.
    pub fn answered(
        &mut self,
        source: &Source,
        token: &AccessToken,
        refused: Option<Refused>,
    ) -> Result<Then, Error> {
        match refused {
            Some(Refused::Without(url)) if !self.again => {
                let may = self.repeatable && may_go_directly(&self.method, &self.url, &url);
                if !may || self.directly {
                    return Err(Error::refused_elsewhere(&url));
                }
                self.directly = true;
                Ok(Then::Directly(url))
            }
            Some(Refused::Token) if !self.again && source.invalidate(token) && self.repeatable => {
                self.again = true;
                Ok(Then::Again)
            }
            _ => Ok(Then::HandOn),
        }
    }
}
