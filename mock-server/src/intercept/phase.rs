//! The phase of a request at which a gate holds it, or a fault acts on it.

/// The phase of a request at which a gate holds it, or a fault acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// Before the mock looks at the request, so that nothing has changed. The journal has no entry of a request that a gate
    /// holds here, but has one of a request on which a fault acts here.
    Request,
    /// After the mock has acted and recorded the request, before a byte of the answer is sent.
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
