//! Which releases may use a database.
//!
//! Migrations only add, as long as the release before may still be running; so an older coordinator can
//! start on a database that a newer one has migrated, and an upgrade can be taken back half-way. What must
//! go goes a release later, by a migration that raises the floor.

use sqlx::{AnyConnection, migrate::Migrator};

use super::StateError;

/// Brings a database up to date, unless a newer release has done so already; then this one must not
/// be too old for it.
pub(super) async fn bring_up_to_date(
    mut migrations: Migrator,
    connection: &mut AnyConnection,
) -> Result<(), StateError> {
    let ours = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    migrations.set_ignore_missing(true);
    migrations.run(&mut *connection).await?;
    let query = sqlx::query_scalar("SELECT floor FROM schema_floor");
    let floor: i64 = query.fetch_one(connection).await?;
    if ours < floor {
        return Err(StateError::TooOld { ours, floor });
    }
    Ok(())
}
