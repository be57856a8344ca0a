//! `health`, as containers ask it.

use clap::Args;
use url::Url;

use super::{Failure, http};

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Its base URL
    #[arg(default_value = "http://127.0.0.1:9777")]
    url: Url,
    #[command(flatten)]
    trust: http::Trust,
}

pub(crate) fn health(args: &Health) -> Result<(), Failure> {
    let url = &args.url;
    let answer = http::send(url, &args.trust, "GET", "/health", None, None);
    let answer = answer.map_err(|error| http::no_mock(url, &error))?;
    match answer.ok() && answer.json()["ok"] == true {
        true => Ok(()),
        false => {
            let error = std::io::Error::other("its answer is another one");
            Err(http::no_mock(url, &error))
        }
    }
}
