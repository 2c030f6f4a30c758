//! State in one SQLite file: no set-up, one coordinator.

use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};

use super::{
    Epoch, StateError,
    schema::bring_up_to_date,
    sql::{Dialect, SqlState},
};

/// Readers beside the one writer.
const READERS: u32 = 4;
/// What a path keeps in a URL.
const IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

const SQLITE: Dialect = Dialect {
    // A deferred one would fail when it turns from reading to writing. Nobody else writes meanwhile.
    begin: "BEGIN IMMEDIATE",
    fence: "SELECT epoch FROM lead WHERE epoch = $1",
    audit_end: "SELECT number, hash FROM audit_end",
};

/// Opens state in SQLite.
pub struct SqliteState;

impl SqliteState {
    /// Opens the file, makes it if it isn't there, and brings it up to date.
    pub async fn open(path: &Path) -> Result<SqlState, StateError> {
        install_default_drivers();
        // One connection: SQLite has one writer, and waiting here is cheaper than SQLITE_BUSY there.
        let writer = AnyPoolOptions::new().max_connections(1).after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *connection).await?;
                // A result that was acknowledged must survive a power cut.
                sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await?;
                sqlx::query("PRAGMA foreign_keys = ON").execute(&mut *connection).await?;
                Ok(())
            })
        });
        let writer = writer.connect_with(options(path, "rwc")?).await?;
        let migrations = sqlx::migrate!("migrations/sqlite");
        bring_up_to_date(migrations, &mut *writer.acquire().await?).await?;
        let readers = AnyPoolOptions::new().max_connections(READERS);
        let readers = readers.connect_with(options(path, "ro")?).await?;
        Ok(SqlState { writer, readers, dialect: &SQLITE, epoch: Epoch::NONE })
    }
}

fn options(path: &Path, mode: &str) -> Result<AnyConnectOptions, StateError> {
    let path = std::path::absolute(path).map_err(sqlx::Error::from)?;
    let path = percent_encode(path.as_os_str().as_encoded_bytes(), IN_PATHS);
    Ok(format!("sqlite://{path}?mode={mode}").parse()?)
}
