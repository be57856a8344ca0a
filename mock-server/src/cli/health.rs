//! `health`: whether a mock answers, for the health checks of containers.

use clap::Args;
use url::Url;

use super::{Failure, http};

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Base URL of the mock
    #[arg(default_value = "http://127.0.0.1:9777", value_parser = http::base_url)]
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
            let error = std::io::Error::other("the answer is not that of a mock");
            Err(http::no_mock(url, &error))
        }
    }
}
