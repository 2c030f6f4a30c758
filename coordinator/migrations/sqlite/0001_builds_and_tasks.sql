-- Durable facts only: builds, tasks, results. Leases are soft, but a generation is never given twice.
CREATE TABLE builds (
    build_id    TEXT PRIMARY KEY,
    request_id  TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    requester   TEXT NOT NULL,
    plan_json   BLOB NOT NULL,           -- its secret part is sealed
    output      TEXT NOT NULL,
    state       TEXT NOT NULL,           -- running, done, failed, cancelled
    failure     BLOB,                    -- prestage.v1.Failure
    created     INTEGER NOT NULL,        -- milliseconds since 1970
    ended       INTEGER,
    report_json BLOB NOT NULL,
    traceparent TEXT NOT NULL
) STRICT;

CREATE INDEX builds_by_age ON builds (created, build_id);

CREATE TABLE tasks (
    build_id    TEXT NOT NULL REFERENCES builds (build_id) ON DELETE CASCADE,
    task_id     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    label       TEXT NOT NULL,
    work_key    TEXT NOT NULL,
    payload     BLOB NOT NULL,           -- prestage.v1.Task
    deps        TEXT NOT NULL,           -- JSON array of task ids
    bytes_total INTEGER NOT NULL,
    result      BLOB,                    -- prestage.v1.TaskResult, once done
    generation  INTEGER NOT NULL,
    PRIMARY KEY (build_id, task_id)
) STRICT, WITHOUT ROWID;
