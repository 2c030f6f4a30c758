-- The audit log: docs/audit.md. Entries are only ever added.
CREATE TABLE audit (
    number    INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,          -- milliseconds since 1970
    principal TEXT NOT NULL,
    caller    TEXT NOT NULL,             -- the address
    action    TEXT NOT NULL,
    target    TEXT NOT NULL,
    outcome   TEXT NOT NULL,
    detail    TEXT NOT NULL,
    previous  BLOB NOT NULL,             -- the hash of the entry before it
    hash      BLOB NOT NULL
) STRICT;

-- Its end: who appends holds this row.
CREATE TABLE audit_end (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    number   INTEGER NOT NULL,
    hash     BLOB NOT NULL
) STRICT;

INSERT INTO audit_end (only_one, number, hash) VALUES (1, 0, zeroblob(32));

CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_never_shrinks BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- INSERT OR REPLACE would take an entry away without a DELETE.
CREATE TRIGGER audit_grows_at_its_end BEFORE INSERT ON audit
WHEN NEW.number <> (SELECT number + 1 FROM audit_end)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_end_goes_forward BEFORE UPDATE ON audit_end
WHEN NEW.number <> OLD.number + 1
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_end_stays BEFORE DELETE ON audit_end
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
