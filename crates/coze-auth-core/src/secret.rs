//! The secrets of a flow, and the rules they share.
//!
//! A secret cannot be printed, compared, dereferenced or serialised by accident: there is one way to
//! its text, `expose()`, which can be searched for. What these types hold is zeroized on drop. Copies that
//! HTTP, TLS and JSON libraries make on the way, and a text that you hand in as a slice, are not theirs to wipe.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::error::{ConfigError, Problem};

/// Text that is wiped when its last clone is dropped, and never printed. A clone is a count, not a copy: a
/// token source gives its token to everyone who asks.
#[derive(Clone)]
pub(crate) struct Hidden(Arc<Zeroizing<String>>);

impl Hidden {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::of(Zeroizing::new(text.into()))
    }

    pub(crate) fn of(text: Zeroizing<String>) -> Self {
        Self(Arc::new(text))
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub(crate) fn matches(&self, other: &str) -> bool {
        self.expose().as_bytes().ct_eq(other.as_bytes()).into()
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// `Bearer …` of a secret that was checked to fit a header; hidden from `Debug` and from HTTP/2 tables, and wiped with its last clone.
    pub(crate) fn bearer(&self) -> HeaderValue {
        const SCHEME: &str = "Bearer ";
        let mut text = Zeroizing::new(String::with_capacity(SCHEME.len() + self.expose().len()));
        text.push_str(SCHEME);
        text.push_str(self.expose());
        let shared = Bytes::from_owner(text);
        let value = HeaderValue::from_maybe_shared(shared);
        let mut value = value.expect("checked when the secret was made");
        value.set_sensitive(true);
        value
    }
}

/// What a secret may consist of.
pub(crate) enum Alphabet {
    /// Goes into an `Authorization` header: visible ASCII, no space (RFC 6750 §2.1 allows less).
    Header,
    /// Goes into a JSON member or a query: visible ASCII and space (RFC 6749 appendix A, `VSCHAR`).
    Text,
    /// A code verifier: 43 to 128 unreserved characters (RFC 7636 §4.1).
    Verifier,
}

impl Alphabet {
    fn check(&self, text: &str) -> Result<(), Problem> {
        if text.is_empty() {
            return Err(Problem::Empty);
        }
        let allowed = |byte: &u8| match self {
            Self::Header => (0x21..=0x7e).contains(byte),
            Self::Text => (0x20..=0x7e).contains(byte),
            Self::Verifier => byte.is_ascii_alphanumeric() || b"-._~".contains(byte),
        };
        match text.bytes().position(|byte| !allowed(&byte)) {
            Some(at) => Err(Problem::character(text, at)),
            None if matches!(self, Self::Verifier) && !(43..=128).contains(&text.len()) => {
                Err(Problem::VerifierLength(text.len()))
            }
            None => Ok(()),
        }
    }
}

/// Defines a secret type: checked when made, hidden when printed, wiped when dropped. One that a person sets says
/// what kind of setting it is, and is refused if it looks like something else that is pasted there.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $what:literal, $alphabet:ident $(, set as $setting:ident)?) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name($crate::secret::Hidden);

        impl $name {
            #[doc = concat!("Takes the text: ", $what, ".")]
            ///
            /// # Errors
            ///
            /// [`ConfigError`](crate::error::ConfigError) if the text is empty or has a character that it can't have. The error
            /// says where, never what.
            $(
                #[doc = concat!("As a ", stringify!($setting), " that a person sets it is refused, too, if it is in quotes, has its name in front, or is a placeholder.")]
            )?
            pub fn new(text: impl Into<String>) -> Result<Self, $crate::error::ConfigError> {
                let hidden = $crate::secret::Hidden::new(text);
                $(
                    $crate::pasted::refuse($what, hidden.expose(), $crate::pasted::Setting::$setting)?;
                )?
                $crate::secret::check(&hidden, $what, &$crate::secret::Alphabet::$alphabet)?;
                Ok(Self(hidden))
            }

            /// The text itself. The only way to it: search for `expose` to see who looks.
            pub fn expose(&self) -> &str {
                self.0.expose()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }
    };
}
pub(crate) use secret;

pub(crate) fn check(
    hidden: &Hidden,
    what: &'static str,
    rule: &Alphabet,
) -> Result<(), ConfigError> {
    rule.check(hidden.expose())
        .map_err(|problem| ConfigError::new(what, problem))
}

secret! {
    /// A refresh token. Coze rotates it: each use gives a new one and invalidates this one (protocol §3.4).
    ///
    /// ```
    /// use coze_auth_core::{RefreshToken, error::ConfigError};
    ///
    /// # fn main() -> Result<(), ConfigError> {
    /// let token = RefreshToken::new("from-your-own-storage")?;
    /// assert_eq!(token.expose(), "from-your-own-storage"); // the one way to it
    /// assert_eq!(format!("{token:?}"), "RefreshToken(***)");
    /// # Ok(()) }
    /// ```
    RefreshToken, "refresh token", Text
}
secret! {
    /// The client secret of a web app, sent as the Bearer of its token requests (protocol §2.3).
    ///
    /// ```
    /// use coze_auth_core::{ClientSecret, error::ConfigError};
    ///
    /// # fn main() -> Result<(), ConfigError> {
    /// let secret = ClientSecret::new("of-the-console")?;
    /// assert_eq!(format!("{secret:?}"), "ClientSecret(***)");
    /// assert!(ClientSecret::new("").is_err());
    /// # Ok(()) }
    /// ```
    ClientSecret, "client secret", Header, set as Text
}
secret! {
    /// What a device polls with; the person never sees it (RFC 8628 §3.2).
    DeviceCode, "device code", Text
}
secret! {
    /// The code that comes back to the redirect URI, good for one exchange.
    AuthorizationCode, "authorization code", Text
}
secret! {
    /// The PKCE secret: its challenge goes out with the authorize URL, itself with the exchange.
    CodeVerifier, "code verifier", Verifier
}
secret! {
    /// The value that ties a callback to the attempt that started it (RFC 6749 §10.12).
    State, "state", Text
}
/// JSON that holds secrets, for storage: keep it where you would keep a password.
#[derive(Clone, Debug)]
pub struct SecretJson(Hidden);

impl SecretJson {
    pub(crate) fn of(value: &impl serde::Serialize) -> Self {
        let text =
            serde_json::to_string(value).expect("a struct of strings and numbers serialises");
        Self(Hidden::new(text))
    }

    /// The JSON itself.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl CodeVerifier {
    pub(crate) fn from_entropy(entropy: &Entropy) -> Self {
        Self(Hidden::of(entropy.derive_text("coze-auth code verifier")))
    }
}

impl State {
    pub(crate) fn from_entropy(entropy: &Entropy) -> Self {
        Self(Hidden::of(entropy.derive_text("coze-auth state")))
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &str) -> bool {
        self.0.matches(other)
    }
}

impl RefreshToken {
    /// Whether both are the same, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.matches(other.expose())
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl ClientSecret {
    /// Coze takes the secret of a web app as the Bearer (protocol §2.3), not as RFC 6749 §2.3.1 has it.
    pub(crate) fn bearer(&self) -> HeaderValue {
        self.0.bearer()
    }
}
