//! What a mock is made with: what the builder and a configuration in TOML both write.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::error::SetupError;
use crate::net::addressing::Addressing;
use crate::state::ids::Ids;
use crate::state::settings::Settings;

#[derive(Debug)]
pub(crate) struct Options {
    /// Of the worlds; the seed is in [`seed`](Self::seed).
    pub(crate) settings: Settings,
    /// None: a random one.
    pub(crate) seed: Option<[u8; 32]>,
    pub(crate) listen: Listen,
    /// Other machines may come.
    pub(crate) anywhere: bool,
    pub(crate) tls: WantedTls,
    pub(crate) addressing: Addressing,
}

#[derive(Debug)]
pub(crate) enum WantedTls {
    Off,
    OwnCa,
    Files { certificate: PathBuf, key: PathBuf },
}

/// A name is looked up at the start, when it is known who may come.
#[derive(Debug)]
pub(crate) enum Listen {
    At(SocketAddr),
    Named(String),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl Options {
    pub(crate) fn standard() -> Self {
        Self {
            settings: Settings::standard([0; 32]),
            seed: None,
            listen: Listen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            anywhere: false,
            tls: WantedTls::Off,
            addressing: Addressing::default(),
        }
    }

    /// For a world that has `settings` where nothing else is said.
    pub(crate) fn of_world(settings: Settings) -> Self {
        Self {
            seed: Some(settings.seed),
            settings,
            ..Self::standard()
        }
    }

    pub(crate) fn set_seed(&mut self, number: u64) {
        self.seed = Some(Sha256::digest(number.to_be_bytes()).into());
    }

    /// The settings of the worlds, with a seed in any case.
    pub(crate) fn settings(self) -> Result<Settings, SetupError> {
        let mut settings = self.settings;
        settings.seed = match self.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        Ok(settings)
    }
}

/// From the system and not from aws-lc, whose generator takes 22 ms to start.
fn random_seed() -> Result<[u8; 32], SetupError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(SetupError::Randomness)?;
    Ok(seed)
}

pub(crate) fn random_token() -> Result<String, SetupError> {
    Ok(Ids::new(random_seed()?).opaque("", 32))
}
