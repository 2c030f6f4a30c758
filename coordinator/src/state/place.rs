//! Where the state is.

use std::{fmt, path::Path, str::FromStr};

use super::{PostgresState, PostgresUrl, PostgresUrlError, SqlState, SqliteState, StateError};

/// Where the state is: as the setting `state` names it.
#[derive(Clone, Debug, Default)]
pub enum StatePlace {
    /// An SQLite file in the data folder, which one coordinator uses.
    #[default]
    DataFolder,
    /// A PostgreSQL database, which several coordinators share.
    Postgres(PostgresUrl),
}

impl StatePlace {
    /// Whether other coordinators may use it too.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Whether its name holds a password.
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Postgres(url) if url.has_password())
    }

    /// Opens it and brings it up to date.
    pub async fn open(&self, data_dir: &Path) -> Result<SqlState, StateError> {
        match self {
            Self::DataFolder => SqliteState::open(&data_dir.join("state.sqlite")).await,
            Self::Postgres(url) => PostgresState::open(url).await,
        }
    }
}

impl FromStr for StatePlace {
    type Err = PostgresUrlError;

    fn from_str(text: &str) -> Result<Self, PostgresUrlError> {
        match text {
            "" => Ok(Self::DataFolder),
            url => url.parse().map(Self::Postgres),
        }
    }
}

impl fmt::Display for StatePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataFolder => f.write_str("the data folder"),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}
