//! What a build may use, written down in the store before it looks what is there.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt;

use crate::error::StoreError;
use crate::keys::{BuildId, ObjectKey, PackKey, StoredObject};
use crate::objects::{Objects, PutRule};
use crate::whole::{check_digest_line, with_digest_line};

/// A pin of a million keys is below this.
const PIN_BYTES_MAX: u64 = 256 << 20;
/// A pin older than this is of an installation that is gone: no build runs for a month.
pub(super) const PIN_MAX: Duration = Duration::from_secs(30 * 86_400);
/// Folder of what ended builds used, by day.
const USES: &str = "uses";

/// The objects that a build may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pin(BTreeSet<ObjectKey>);

impl Pin {
    /// A pin of these objects.
    pub fn new(keys: impl IntoIterator<Item = ObjectKey>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// Pins them for a build, in place of what it had pinned before.
    ///
    /// # Errors
    /// When the store can't be written.
    pub async fn put(&self, objects: &Objects, build: &BuildId) -> Result<(), StoreError> {
        let lines: Vec<&str> = self.0.iter().map(ObjectKey::as_str).collect();
        let body = with_digest_line(lines.join("\n"));
        objects.put_small(&build.pin(), body, PutRule::Overwrite).await?;
        Ok(())
    }

    /// What a build has pinned; nothing when it has ended.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn of(objects: &Objects, build: &BuildId) -> Result<Self, StoreError> {
        Ok(Self::read(objects, &build.pin()).await?.map_or_else(Self::default, |(pin, _)| pin))
    }

    /// The packs among it.
    pub fn packs(&self) -> impl Iterator<Item = PackKey> {
        self.0.iter().filter_map(|key| match StoredObject::parse(key) {
            Ok(StoredObject::Index(pack) | StoredObject::Pack(pack)) => Some(pack),
            _ => None,
        })
    }

    /// Writes down that an ended build used what it had pinned; the pin itself goes with the build's
    /// other objects. A build that pinned nothing used nothing.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn note_use(
        objects: &Objects,
        build: &BuildId,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let Some((_, body)) = Self::read(objects, &build.pin()).await? else {
            return Ok(());
        };
        let key = ObjectKey::new(format!("{USES}/{}/{build}", day(now)))?;
        objects.put_small(&key, body, PutRule::Overwrite).await?;
        Ok(())
    }

    /// A pin or a record of use, and its bytes; nothing if there is none.
    async fn read(objects: &Objects, key: &ObjectKey) -> Result<Option<(Self, Bytes)>, StoreError> {
        let parse = |body: Bytes| Self::parse(&body).map(|pin| (pin, body));
        match objects.get_whole(key, PIN_BYTES_MAX, parse).await {
            Err(StoreError::Missing { .. }) => Ok(None),
            read => {
                let place = objects.url(key).to_string();
                let damaged = |problem| StoreError::Damaged { place, problem };
                Ok(Some(read?.map_err(damaged)?))
            }
        }
    }

    fn parse(body: &[u8]) -> Result<Self, String> {
        let text = check_digest_line(body).map_err(|error| error.to_string())?;
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        let lines = text.lines().filter(|line| !line.is_empty());
        let keys: Result<_, _> = lines.map(ObjectKey::new).collect();
        keys.map(Self).map_err(|error| error.to_string())
    }
}

/// Everything that builds may be using.
pub(super) async fn pinned(
    objects: &Objects,
    now: SystemTime,
) -> Result<BTreeSet<ObjectKey>, StoreError> {
    let mut pinned = BTreeSet::new();
    let mut builds = objects.list("builds");
    while let Some(found) = builds.try_next().await? {
        let is_pin = found.key.as_str().rsplit('/').next() == Some(BuildId::PIN);
        let age = now.duration_since(found.modified).unwrap_or_default();
        if !is_pin || age > PIN_MAX {
            continue;
        }
        // Without one its build has ended meanwhile.
        if let Some((pin, _)) = Pin::read(objects, &found.key).await? {
            pinned.extend(pin.0);
        }
    }
    Ok(pinned)
}

/// When each object was last used by a build that has ended. Records older than `keep` are removed:
/// what they say changes nothing any more.
pub(super) async fn uses(
    objects: &Objects,
    keep: Duration,
    now: SystemTime,
) -> Result<HashMap<ObjectKey, SystemTime>, StoreError> {
    let mut uses: HashMap<ObjectKey, SystemTime> = HashMap::new();
    let mut records = objects.list(USES);
    while let Some(found) = records.try_next().await? {
        if now.duration_since(found.modified).unwrap_or_default() > keep {
            objects.delete(&found.key).await?;
            continue;
        }
        let Some((pin, _)) = Pin::read(objects, &found.key).await? else {
            continue;
        };
        for key in pin.0 {
            let last = uses.entry(key).or_insert(found.modified);
            *last = found.modified.max(*last);
        }
    }
    Ok(uses)
}

/// Days since 1970: a folder for each keeps folders small where folders are real.
fn day(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400
}
