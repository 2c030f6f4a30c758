//! State in a PostgreSQL database: for several coordinators.

use std::{fmt, str::FromStr, time::Duration};

use prestage_secret::Secret;
use sqlx::{
    AnyConnection, Connection,
    any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers},
    postgres::PgConnectOptions,
};

use super::{
    Epoch, StateError,
    schema::bring_up_to_date,
    sql::{Dialect, SqlState},
};

/// Of the engine, which writes one thing after the other, of the services and of the lead.
const WRITERS: u32 = 4;
const READERS: u32 = 8;
/// A database that can't be reached is told after this long.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

const POSTGRES: Dialect = Dialect {
    begin: "BEGIN ISOLATION LEVEL READ COMMITTED",
    fence: "SELECT epoch FROM lead WHERE epoch = $1 FOR SHARE",
    audit_end: "SELECT number, hash FROM audit_end FOR UPDATE",
};

/// The address of a database: `postgres://user@host/database`. It may hold a password, which is
/// never shown; `PGPASSWORD` and the password file are heeded too.
#[derive(Clone)]
pub struct PostgresUrl {
    url: Secret,
    shown: String,
    has_password: bool,
}

impl PostgresUrl {
    /// Whether a password is in it.
    pub fn has_password(&self) -> bool {
        self.has_password
    }
}

/// Why a text is no address of a database. It does not repeat the text, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the state's address is not of the form postgres://user@host/database")]
pub struct PostgresUrlError;

impl FromStr for PostgresUrl {
    type Err = PostgresUrlError;

    fn from_str(url: &str) -> Result<Self, PostgresUrlError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(PostgresUrlError);
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| PostgresUrlError)?;
        let database = options.get_database().unwrap_or(options.get_username());
        let (user, host) = (options.get_username(), options.get_host());
        let shown = format!("postgres://{user}@{host}:{}/{database}", options.get_port());
        let has_password = url::Url::parse(url).is_ok_and(|url| {
            url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
        });
        Ok(Self { url: Secret::from(url), shown, has_password })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Opens state in PostgreSQL.
pub struct PostgresState;

impl PostgresState {
    /// Connects to the database, which must be there, and brings it up to date.
    pub async fn open(url: &PostgresUrl) -> Result<SqlState, StateError> {
        install_default_drivers();
        let options: AnyConnectOptions = url.url.expose().parse()?;
        let pool = AnyPoolOptions::new().acquire_timeout(CONNECT_WITHIN);
        let writers = pool.clone().max_connections(WRITERS).after_connect(|connection, _| {
            Box::pin(async move {
                // A leader that stops in the middle of a transaction must not hold up who comes
                // after it: its transaction holds the row of the lead.
                sqlx::query("SET idle_in_transaction_session_timeout = '2s'")
                    .execute(&mut *connection)
                    .await?;
                // Durable when it returns, whatever the database's default is.
                sqlx::query("SET synchronous_commit = on").execute(&mut *connection).await?;
                Ok(())
            })
        });
        // A pool would try for long and then not say why.
        let first = tokio::time::timeout(CONNECT_WITHIN, AnyConnection::connect_with(&options));
        let first = first.await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let unreachable = |problem| StateError::Unreachable { place: url.to_string(), problem };
        let mut first = first.map_err(unreachable)?;
        // That the table of migrations is there already is no news.
        sqlx::query("SET client_min_messages = warning").execute(&mut first).await?;
        bring_up_to_date(sqlx::migrate!("migrations/postgres"), &mut first).await?;
        first.close().await?;
        let writer = writers.connect_with(options.clone()).await?;
        let readers = pool.max_connections(READERS).connect_with(options).await?;
        Ok(SqlState { writer, readers, dialect: &POSTGRES, epoch: Epoch::NONE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_password() {
        let url: PostgresUrl = "postgres://me:hidden-word@db.example:5433/builds".parse().unwrap();
        assert_eq!(format!("{url} {url:?}").matches("hidden-word").count(), 0);
        assert_eq!(url.to_string(), "postgres://me@db.example:5433/builds");
        assert!(url.has_password());
        for (text, has_password) in [
            ("postgres://me@db.example/builds", false),
            ("postgres://me@db.example/builds?password=hidden-word", true),
        ] {
            assert_eq!(PostgresUrl::from_str(text).unwrap().has_password(), has_password, "{text}");
        }
        let wrong = PostgresUrl::from_str("mysql://me:hidden-word@db.example/builds");
        assert!(!wrong.unwrap_err().to_string().contains("hidden-word"));
    }
}
