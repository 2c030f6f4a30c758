-- Who was enrolled, by which one-time token, and who may not come back.
CREATE TABLE enrolments (
    token_hash TEXT PRIMARY KEY,         -- SHA-256 of the token, hex: the token itself is nowhere
    zone       TEXT NOT NULL,
    name       TEXT NOT NULL,            -- the only one that it is for; empty for any that is free
    created    INTEGER NOT NULL,         -- milliseconds since 1970, like all times
    created_by TEXT NOT NULL,
    expires    INTEGER NOT NULL,
    used_by    TEXT NOT NULL             -- SHA-256 of the key that it was used for, hex; empty for none
) STRICT;

CREATE TABLE identities (
    identity   TEXT PRIMARY KEY,         -- worker/ZONE/NAME
    key_hash   TEXT NOT NULL,            -- SHA-256 of its public key, hex
    serial     TEXT NOT NULL,            -- of its newest certificate, hex
    issued     INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    enrolled_by TEXT NOT NULL            -- who made the token
) STRICT;

CREATE TABLE revocations (
    identity   TEXT PRIMARY KEY,
    at         INTEGER NOT NULL,
    revoked_by TEXT NOT NULL
) STRICT;
