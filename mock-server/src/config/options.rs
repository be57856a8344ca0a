//! The options of a mock, which the builder and a configuration in TOML both set.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::error::SetupError;
use crate::limits::DEFAULT_MEMORY;
use crate::net::addressing::Addressing;
use crate::net::connections::ConnectionLimits;
use crate::state::ids::Ids;
use crate::state::settings::Settings;

#[derive(Debug)]
pub(crate) struct Options {
    /// The settings of the worlds, without the seed.
    pub(crate) settings: Settings,
    /// None if it is to be random.
    pub(crate) seed: Option<[u8; 32]>,
    pub(crate) listen: Listen,
    /// Other machines may reach the mock.
    pub(crate) anywhere: bool,
    pub(crate) tls: WantedTls,
    /// More hosts for which the certificate of the mock's own CA is.
    pub(crate) tls_names: Vec<String>,
    pub(crate) connections: ConnectionLimits,
    pub(crate) addressing: Addressing,
    /// Maximum number of bytes that all worlds together hold.
    pub(crate) max_memory: usize,
}

#[derive(Debug)]
pub(crate) enum WantedTls {
    Off,
    OwnCa,
    Files { certificate: PathBuf, key: PathBuf },
}

/// The address to listen on. A name is resolved at the start, when it is known whether other machines are allowed.
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
            tls_names: Vec::new(),
            connections: ConnectionLimits::default(),
            addressing: Addressing::default(),
            max_memory: DEFAULT_MEMORY,
        }
    }

    /// The options of a world, whose defaults are `settings`.
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

    /// The settings of the worlds, with a random seed if none was set.
    pub(crate) fn settings(self) -> Result<Settings, SetupError> {
        let mut settings = self.settings;
        settings.seed = match self.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        Ok(settings)
    }
}

/// A seed from the operating system and not from aws-lc, whose generator takes 22 ms to start.
fn random_seed() -> Result<[u8; 32], SetupError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| SetupError::Randomness(error.into()))?;
    Ok(seed)
}

pub(crate) fn random_token() -> Result<String, SetupError> {
    Ok(Ids::new(random_seed()?).opaque("", 32))
}
