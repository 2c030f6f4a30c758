-- Who was ever given the making of a pack, for any build: none of them gives the second opinion on it.
CREATE TABLE makers (
    work_key TEXT NOT NULL,              -- the pack's key
    worker   TEXT NOT NULL,              -- a name
    PRIMARY KEY (work_key, worker)
) STRICT, WITHOUT ROWID;

INSERT INTO makers (work_key, worker)
SELECT DISTINCT tasks.work_key, json_extract(events.event, '$.worker')
FROM events JOIN tasks ON tasks.build_id = events.build_id
    AND tasks.task_id = json_extract(events.event, '$.task_id')
WHERE tasks.kind = 'encode' AND json_extract(events.event, '$.event') = 'leased';
