//! Identities in a database.

use async_trait::async_trait;
use sqlx::{Any, Row, Transaction, any::AnyRow};
use time::OffsetDateTime;

use super::{
    Applicant, Enrolled, Enrolment, IdentityStore, KnownIdentity, Revocation, SqlState, StateError,
    identities::{refusal, worker_identity},
    rows::{from_millis, millis},
};

/// A query for identities. Columns are named, as in `select_builds`.
macro_rules! select_identities {
    ($which:literal) => {
        concat!(
            "SELECT identity, key_hash, serial, issued, expires, enrolled_by FROM identities ",
            $which
        )
    };
}

#[async_trait]
impl IdentityStore for SqlState {
    async fn add_enrolment(&self, enrolment: &Enrolment) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        // Tokens that nobody used in time are of no more use to anybody.
        sqlx::query("DELETE FROM enrolments WHERE expires < $1 AND used_by = ''")
            .bind(millis(enrolment.created))
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO enrolments (token_hash, zone, name, created, created_by, expires, used_by) \
             VALUES ($1, $2, $3, $4, $5, $6, '')",
        )
        .bind(&enrolment.token_hash)
        .bind(&enrolment.zone)
        .bind(&enrolment.name)
        .bind(millis(enrolment.created))
        .bind(&enrolment.created_by)
        .bind(millis(enrolment.expires))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn enrol(
        &self,
        applicant: Applicant<'_>,
        now: OffsetDateTime,
    ) -> Result<Enrolled, StateError> {
        let mut transaction = self.begin().await?;
        // Taken first: whoever comes at the same time with another key waits, and finds it used.
        let taken = sqlx::query(
            "UPDATE enrolments SET used_by = $1 \
             WHERE token_hash = $2 AND expires > $3 AND used_by IN ('', $1) \
             RETURNING token_hash, zone, name, created, created_by, expires",
        )
        .bind(applicant.key_hash)
        .bind(applicant.token_hash)
        .bind(millis(now))
        .fetch_all(&mut *transaction)
        .await?;
        let Some(row) = taken.first() else {
            return Ok(Enrolled::NoToken);
        };
        let enrolment = read_enrolment(row)?;
        let identity = worker_identity(&enrolment.zone, applicant.name);
        let known = sqlx::query(select_identities!("WHERE identity = $1"))
            .bind(&identity)
            .fetch_optional(&mut *transaction)
            .await?;
        let known = known.as_ref().map(read_identity).transpose()?;
        let is_revoked = is_revoked(&mut transaction, &identity).await?;
        if let Some(refused) = refusal(&enrolment, &applicant, known.as_ref(), is_revoked, now) {
            // Rolled back: the token can still be used as it was meant.
            return Ok(refused);
        }
        transaction.commit().await?;
        Ok(Enrolled::As(enrolment))
    }

    async fn note_identity(&self, identity: &KnownIdentity) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO identities (identity, key_hash, serial, issued, expires, enrolled_by) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (identity) DO UPDATE SET \
             key_hash = $2, serial = $3, issued = $4, expires = $5, enrolled_by = $6",
        )
        .bind(&identity.identity)
        .bind(&identity.key_hash)
        .bind(&identity.serial)
        .bind(millis(identity.issued))
        .bind(millis(identity.expires))
        .bind(&identity.enrolled_by)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn identity(&self, identity: &str) -> Result<Option<KnownIdentity>, StateError> {
        let row = sqlx::query(select_identities!("WHERE identity = $1"))
            .bind(identity)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(read_identity).transpose()
    }

    async fn identities(&self) -> Result<Vec<KnownIdentity>, StateError> {
        let query = sqlx::query(select_identities!("ORDER BY identity"));
        query.fetch_all(&self.readers).await?.iter().map(read_identity).collect()
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO revocations (identity, at, revoked_by) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
        )
        .bind(&revocation.identity)
        .bind(millis(revocation.at))
        .bind(&revocation.revoked_by)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn restore(&self, identity: &str) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        let query = sqlx::query("DELETE FROM revocations WHERE identity = $1").bind(identity);
        query.execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, StateError> {
        let query =
            sqlx::query("SELECT identity, at, revoked_by FROM revocations ORDER BY identity");
        let rows = query.fetch_all(&self.readers).await?;
        let revocation = |row: &AnyRow| {
            Ok(Revocation {
                identity: row.try_get("identity")?,
                at: from_millis(row.try_get("at")?),
                revoked_by: row.try_get("revoked_by")?,
            })
        };
        rows.iter().map(revocation).collect()
    }
}

async fn is_revoked(
    transaction: &mut Transaction<'static, Any>,
    identity: &str,
) -> Result<bool, StateError> {
    let query = sqlx::query("SELECT 1 FROM revocations WHERE identity = $1").bind(identity);
    Ok(query.fetch_optional(&mut **transaction).await?.is_some())
}

fn read_enrolment(row: &AnyRow) -> Result<Enrolment, StateError> {
    Ok(Enrolment {
        token_hash: row.try_get("token_hash")?,
        zone: row.try_get("zone")?,
        name: row.try_get("name")?,
        created: from_millis(row.try_get("created")?),
        created_by: row.try_get("created_by")?,
        expires: from_millis(row.try_get("expires")?),
    })
}

fn read_identity(row: &AnyRow) -> Result<KnownIdentity, StateError> {
    Ok(KnownIdentity {
        identity: row.try_get("identity")?,
        key_hash: row.try_get("key_hash")?,
        serial: row.try_get("serial")?,
        issued: from_millis(row.try_get("issued")?),
        expires: from_millis(row.try_get("expires")?),
        enrolled_by: row.try_get("enrolled_by")?,
    })
}
