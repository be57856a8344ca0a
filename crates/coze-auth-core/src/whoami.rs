//! `GET /v1/users/me`: proves a token (protocol §10).

use std::fmt::{self, Write as _};

use crate::access_token::AccessToken;
use crate::endpoint::{Endpoints, absolute, is_loopback};
use crate::envelope::Answer;
use crate::error::{Error, is_invisible};
use crate::flow::Call;
use crate::wire::Outgoing;

/// The user whom a token speaks for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct User {
    /// Coze's id of the user: visible ASCII without quotes, `<`, `>`, `&` and `\`, never empty.
    pub user_id: String,
    /// The login name; empty if there is none.
    pub user_name: UntrustedText,
    /// The name shown to others; empty if there is none.
    pub nick_name: UntrustedText,
    /// An https link to a picture, in the ASCII form of a URL and without quotes; http on this machine alone. None if
    /// there is none, and if there is something else in its place.
    pub avatar_url: Option<String>,
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
        let user_id = data.text_or_number("user_id")?;
        if !user_id.bytes().all(|byte| byte.is_ascii_graphic()) || user_id.contains(MARKUP) {
            return Err(data.bad("user_id"));
        }
        Ok(Self {
            user_id,
            user_name: UntrustedText(data.name("user_name")),
            nick_name: UntrustedText(data.name("nick_name")),
            avatar_url: picture(&data.name("avatar_url")),
        })
    }
}

/// What begins or ends something in HTML, in its attributes and in strings of scripts.
const MARKUP: [char; 7] = ['<', '>', '&', '"', '\'', '`', '\\'];

/// A link that may be put into a page; none if it is another.
fn picture(text: &str) -> Option<String> {
    let url = absolute(text).filter(|_| !text.contains(char::REPLACEMENT_CHARACTER))?;
    let is_safe = url.scheme() == "https" || is_loopback(url.host());
    // All other characters that end an attribute are encoded by then.
    is_safe.then(|| url.as_str().replace('\'', "%27").replace('`', "%60"))
}

/// A text that people chose for themselves. [`Display`](fmt::Display) and `Debug` escape what could steer a terminal, a
/// log or a page that it is put into: control characters, those that reorder or hide what stands beside them, quotes,
/// `<`, `>`, `&` and `\`. Emoji stay as they are, joined ones too.
///
/// ```
/// # use coze_auth_core::{AccessToken, Endpoints, Error, Flow, Now, Response, SteadyTime, Step, UnixTime, whoami};
/// # fn main() -> Result<(), Error> {
/// # let now = Now { unix: UnixTime::from_secs(0), steady: SteadyTime::from_duration(Default::default()) };
/// # let mut call = whoami(&Endpoints::cn(), &AccessToken::new("pat_x")?);
/// # let body = br#"{"code":0,"data":{"user_id":"1","user_name":"\u001b]0;owned\u0007<b>"}}"#;
/// # call.receive(Ok(Response::new(body.to_vec().into())), now);
/// # let Step::Done(user) = call.step(now) else { unreachable!() };
/// # let user = user?;
/// assert_eq!(user.user_name.to_string(), r"\u{1b}]0;owned\u{7}\u{3c}b\u{3e}");
/// assert_eq!(user.user_name.as_raw(), "\u{1b}]0;owned\u{7}<b>");
/// # Ok(()) }
/// ```
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct UntrustedText(String);

impl UntrustedText {
    /// The text as it was received, not escaped: to be stored or compared, or for what escapes by itself. Where it was not text
    /// (half a surrogate pair, another encoding) it has U+FFFD.
    pub fn as_raw(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Join what stands beside them: families of emoji, letters of Persian and Hindi.
        const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];
        self.0.chars().try_for_each(|character| {
            let hides = is_invisible(character) && !JOINERS.contains(&character);
            match hides || MARKUP.contains(&character) {
                true => character.escape_unicode().fmt(f),
                false => f.write_char(character),
            }
        })
    }
}

impl fmt::Debug for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl PartialEq<str> for UntrustedText {
    fn eq(&self, raw: &str) -> bool {
        self.0 == raw
    }
}

impl PartialEq<&str> for UntrustedText {
    fn eq(&self, raw: &&str) -> bool {
        self.0 == *raw
    }
}
