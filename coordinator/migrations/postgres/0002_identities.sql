-- Who was enrolled, by which one-time token, and who may not come back: the same tables as SQLite's.
CREATE TABLE enrolments (
    token_hash TEXT COLLATE "C" PRIMARY KEY,
    zone       TEXT NOT NULL,
    name       TEXT NOT NULL,
    created    BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires    BIGINT NOT NULL,
    used_by    TEXT NOT NULL
);

CREATE TABLE identities (
    identity   TEXT COLLATE "C" PRIMARY KEY,
    key_hash   TEXT NOT NULL,
    serial     TEXT NOT NULL,
    issued     BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    enrolled_by TEXT NOT NULL
);

CREATE TABLE revocations (
    identity   TEXT COLLATE "C" PRIMARY KEY,
    at         BIGINT NOT NULL,
    revoked_by TEXT NOT NULL
);
