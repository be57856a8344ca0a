//! A fresh token of a source.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::AccessToken;
use coze_auth_tokens::Source;

pub(crate) fn token(calls: u32) {
    let token = AccessToken::new("pat_0123456789").expect("a token");
    let source = Source::fixed(token, Duration::from_secs(30), Arc::new(crate::now));
    for _ in 0..calls {
        let token = black_box(&source).fresh(black_box(crate::now().unix));
        drop(black_box(token.expect("it never ends")));
    }
}
