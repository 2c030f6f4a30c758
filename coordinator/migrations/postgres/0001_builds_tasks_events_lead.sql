-- The same tables as SQLite's, so that both are read and written by the same statements.
-- Ids are compared byte by byte, as everywhere else, not by a language's order.
CREATE TABLE builds (
    build_id    TEXT COLLATE "C" PRIMARY KEY,
    request_id  TEXT COLLATE "C" NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    requester   TEXT NOT NULL,
    priority    INTEGER NOT NULL,
    deadline    BIGINT,                  -- milliseconds since 1970
    plan_json   BYTEA NOT NULL,          -- its secret part is sealed
    output      TEXT NOT NULL,
    state       TEXT NOT NULL,           -- running, done, failed, cancelled
    failure     BYTEA,                   -- prestage.v1.Failure
    created     BIGINT NOT NULL,         -- milliseconds since 1970
    ended       BIGINT,
    report_json BYTEA NOT NULL,
    traceparent TEXT NOT NULL
);

CREATE INDEX builds_by_age ON builds (created, build_id);
CREATE INDEX builds_running ON builds (created, build_id) WHERE state = 'running';

CREATE TABLE tasks (
    build_id    TEXT COLLATE "C" NOT NULL REFERENCES builds (build_id) ON DELETE CASCADE,
    task_id     TEXT COLLATE "C" NOT NULL,
    kind        TEXT NOT NULL,
    label       TEXT NOT NULL,
    work_key    TEXT NOT NULL,
    payload     BYTEA NOT NULL,          -- prestage.v1.Task
    deps        TEXT NOT NULL,           -- JSON array of task ids
    bytes_total BIGINT NOT NULL,
    result      BYTEA,                   -- prestage.v1.TaskResult, once done
    generation  BIGINT NOT NULL,
    PRIMARY KEY (build_id, task_id)
);

CREATE TABLE events (
    number   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    build_id TEXT COLLATE "C" NOT NULL REFERENCES builds (build_id) ON DELETE CASCADE,
    at       BIGINT NOT NULL,            -- milliseconds since 1970
    event    TEXT NOT NULL               -- JSON; no secret is in it
);

CREATE INDEX events_by_build ON events (build_id, number);

-- Which coordinator leads, and until when. The epoch only grows: it fences what earlier leaders write.
CREATE TABLE lead (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    epoch    BIGINT NOT NULL,
    holder   TEXT NOT NULL,              -- empty for nobody
    address  TEXT NOT NULL,              -- where others reach it
    expires  BIGINT NOT NULL             -- milliseconds since 1970, by this database's clock
);

INSERT INTO lead (only_one, epoch, holder, address, expires) VALUES (1, 1, '', '', 0);

CREATE VIEW clock (now) AS SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT);
