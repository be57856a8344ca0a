//! When a gate holds, or a fault acts.

/// When a gate holds, or a fault acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// Before the mock looks at the request: nothing has changed. Of what a gate holds here the
    /// journal knows nothing; of what meets a fault it does.
    Request,
    /// After the mock has acted and written it down, before a byte of the answer is sent.
    Answer,
}

impl At {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, &'static str> {
        match name {
            "request" => Ok(Self::Request),
            "answer" => Ok(Self::Answer),
            _ => Err(r#"at is "request" or "answer""#),
        }
    }
}
