//! The open questions of the protocol page (§14), and how many requests each may cost.

/// An open question. Its text is that of the page, which a test compares.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Number in the table of the page.
    pub number: u8,
    /// The question.
    pub text: &'static str,
    /// Maximum number of requests that the run sends for it, without those of the person's own browser.
    pub budget: u32,
}

const fn question(number: u8, text: &'static str, budget: u32) -> Question {
    Question {
        number,
        text,
        budget,
    }
}

/// All questions, in the order of the page.
pub const QUESTIONS: [Question; 22] = [
    question(1, "How long does an authorization code live?", 4),
    question(
        2,
        "What do spent, expired, foreign and unknown codes and refresh tokens get? Is there a time of grace? Does a refused exchange spend the code?",
        10,
    ),
    question(
        3,
        "Which statuses have `slow_down`, `access_denied`, `expired_token`, and is pending still 428?",
        7,
    ),
    question(
        4,
        "From which pause on is a poll too fast? Does `slow_down` lengthen the server's interval?",
        8,
    ),
    question(
        5,
        "What comes to the redirect URI when a person refuses?",
        0,
    ),
    question(6, "Are forms read at E3? Is a body limit felt?", 3),
    question(
        7,
        "Is there a longest `exp`, an allowance for skew, `aud` with a port? What do bad `aud`, signature and `exp` say?",
        11,
    ),
    question(
        8,
        "Does `/v1/users/me` take `czs_` tokens? Is its 401 a 4100 or a 700012006?",
        4,
    ),
    question(
        9,
        "Which statuses have `access_deny`, `unsupported_grant_type`, `internal_error`?",
        3,
    ),
    question(
        10,
        "Is `scope` ignored or refused for an app that is not a channel?",
        1,
    ),
    question(
        11,
        "Are repeated members, redirect URIs with a fragment, a PKCE challenge of a web app accepted?",
        6,
    ),
    question(
        12,
        "Which routes answer 4101 under 200, and which give 700012006?",
        9,
    ),
    question(
        13,
        "Is `token_type` always there, and is a device flow's token good for 15 minutes and its refresh token for 30 days?",
        3,
    ),
    question(14, "Does .com differ from .cn?", 0),
    question(
        15,
        "Is `expires_in` of W2 a duration, which one, and is it there?",
        2,
    ),
    question(
        16,
        "Are a workload's tokens JWTs, with which claims, and is there a key set?",
        2,
    ),
    question(
        17,
        "With which codes and statuses do W1 and W2 refuse a wrong id, a wrong secret, an expired or foreign id token, JSON, Basic?",
        5,
    ),
    question(
        18,
        "Is an id token good once or many times, and for how long?",
        6,
    ),
    question(19, "Does `api.coze.cn` take a workload's access token?", 1),
    question(
        20,
        "Which codes have W3 for an unknown, a foreign and a disabled integration, and W4 in a deployed app?",
        2,
    ),
    question(
        21,
        "Does a workload's pair outlive its sandbox, and does it work from elsewhere?",
        0,
    ),
    question(22, "Has .com workload identity, and at which URLs?", 0),
];
