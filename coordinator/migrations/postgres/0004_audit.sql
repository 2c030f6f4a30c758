-- The audit log: docs/audit.md. Entries are only ever added. The same tables as SQLite's.
CREATE TABLE audit (
    number    BIGINT PRIMARY KEY,
    at        BIGINT NOT NULL,           -- milliseconds since 1970
    principal TEXT NOT NULL,
    caller    TEXT NOT NULL,             -- the address
    action    TEXT NOT NULL,
    target    TEXT NOT NULL,
    outcome   TEXT NOT NULL,
    detail    TEXT NOT NULL,
    previous  BYTEA NOT NULL,            -- the hash of the entry before it
    hash      BYTEA NOT NULL
);

-- Its end: who appends holds this row.
CREATE TABLE audit_end (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    number   BIGINT NOT NULL,
    hash     BYTEA NOT NULL
);

INSERT INTO audit_end (only_one, number, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;

CREATE TRIGGER audit_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

CREATE TRIGGER audit_end_goes_forward BEFORE UPDATE ON audit_end
    FOR EACH ROW WHEN (NEW.number <> OLD.number + 1) EXECUTE FUNCTION audit_is_append_only();

CREATE TRIGGER audit_end_stays BEFORE DELETE OR TRUNCATE ON audit_end
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
