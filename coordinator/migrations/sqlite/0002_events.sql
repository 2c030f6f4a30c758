-- What happened to builds, in order: what the build log is written from. No secret is in it.
CREATE TABLE events (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    build_id TEXT NOT NULL REFERENCES builds (build_id) ON DELETE CASCADE,
    at       INTEGER NOT NULL,           -- milliseconds since 1970
    event    TEXT NOT NULL               -- JSON
) STRICT;

CREATE INDEX events_by_build ON events (build_id, number);
