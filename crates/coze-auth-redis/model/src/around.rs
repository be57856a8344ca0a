//! What stands around the crate's files that decide, in the place of options, TLS, sealing and the store's own thread.

pub(crate) mod check {
    use coze_auth_store::Notices;

    use super::options::RedisOptions;

    pub struct Finding;

    #[derive(Default)]
    pub(crate) struct Watch {
        pub(crate) notices: Notices,
    }

    impl Watch {
        pub(crate) fn look(&self, _: &RedisOptions, _: u64) {}
    }
}

pub(crate) mod options {
    use std::fmt;
    use std::sync::Arc;
    use std::time::Duration;

    use super::check::Finding;
    use super::connect::ConnectError;
    use super::seal::SealKeys;
    use crate::server::Network;
    use crate::settings::SettingsError;

    #[derive(Clone)]
    pub struct RedisOptions {
        pub(crate) prefix: Box<str>,
        pub(crate) connect_within: Duration,
        pub(crate) answer_within: Duration,
        pub(crate) keys: Option<Arc<SealKeys>>,
        pub(crate) lease: Duration,
        pub(crate) keep_for: Duration,
        pub(crate) network: Network,
    }

    impl RedisOptions {
        /// The options that are not said have the crate's own values.
        pub(crate) fn over(network: Network) -> Self {
            Self {
                prefix: "coze:".into(),
                connect_within: Duration::from_secs(3),
                answer_within: Duration::from_secs(2),
                keys: None,
                lease: Duration::from_secs(10),
                keep_for: Duration::from_secs(90 * 24 * 3600),
                network,
            }
        }

        pub(crate) fn from_url(_: &str) -> Result<Self, SettingsError> {
            Err(SettingsError::new("Redis URL", "not of a model"))
        }

        pub(crate) fn validated(&self) -> Result<(), SettingsError> {
            Ok(())
        }

        pub(crate) async fn check(&self) -> Result<Vec<Finding>, ConnectError> {
            Ok(Vec::new())
        }
    }

    impl fmt::Debug for RedisOptions {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("RedisOptions").finish_non_exhaustive()
        }
    }
}

pub(crate) mod connect {
    use std::fmt;
    use std::time::Duration;

    use coze_auth_core::error::ErrorKind;
    use redis::aio::MultiplexedConnection;
    use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo};
    use tokio::task::JoinHandle;

    use super::options::RedisOptions;

    pub(crate) struct Link {
        pub(crate) connection: MultiplexedConnection,
        driver: JoinHandle<()>,
    }

    impl Drop for Link {
        fn drop(&mut self) {
            self.driver.abort();
        }
    }

    #[derive(Clone, Debug)]
    pub struct ConnectError;

    impl ConnectError {
        pub(crate) fn kind(&self) -> ErrorKind {
            ErrorKind::Wait(Duration::from_secs(1))
        }
    }

    impl fmt::Display for ConnectError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the model is away")
        }
    }

    impl std::error::Error for ConnectError {}

    pub(crate) async fn connect(
        options: &RedisOptions,
        config: AsyncConnectionConfig,
    ) -> Result<Link, ConnectError> {
        let stream = options.network.connect().await;
        let info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|_| ConnectError)?;
        Ok(Link {
            connection,
            driver: tokio::spawn(driver),
        })
    }
}

/// Values stand as they are.
pub(crate) mod seal {
    use std::fmt;

    use coze_auth_core::error::ErrorKind;
    use zeroize::Zeroizing;

    pub(crate) struct SealKeys;

    pub(crate) enum SealError {
        Damaged {},
        Other,
    }

    impl SealError {
        pub(crate) fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    impl fmt::Display for SealError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("nothing is sealed here")
        }
    }

    impl SealKeys {
        pub(crate) fn seal(&self, _: &str, _: &str, _: u64) -> Result<String, SealError> {
            Err(SealError::Other)
        }
    }

    pub(crate) fn open(
        _: Option<&SealKeys>,
        stored: &str,
        _: &str,
        _: u64,
    ) -> Result<Zeroizing<String>, SealError> {
        Ok(Zeroizing::new(stored.to_owned()))
    }
}

/// The runtime of the walk in the place of the store's own thread.
pub(crate) mod worker {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::runtime::Handle;

    pub(crate) struct Worker(Handle);

    impl Worker {
        pub(crate) fn start() -> io::Result<Self> {
            Ok(Self(Handle::current()))
        }

        pub(crate) fn handle(&self) -> &Handle {
            &self.0
        }
    }

    #[derive(Default)]
    pub(crate) struct Pending {}

    pub(crate) struct Begun(Arc<Pending>);

    impl Pending {
        pub(crate) fn begin(self: &Arc<Self>) -> Begun {
            Begun(self.clone())
        }

        /// Nobody leaves: a process of the walk dies.
        pub(crate) fn wait(&self, _: Duration) {}
    }

    pub(crate) fn wait_for<T>(_: impl Future<Output = T>) -> T {
        unreachable!("the walk awaits")
    }
}
