-- Who was ever given the making of a pack, for any build: none of them gives the second opinion on it.
CREATE TABLE makers (
    work_key TEXT NOT NULL,              -- the pack's key
    worker   TEXT NOT NULL,              -- a name
    PRIMARY KEY (work_key, worker)
);

INSERT INTO makers (work_key, worker)
SELECT DISTINCT tasks.work_key, events.event::json ->> 'worker'
FROM events JOIN tasks ON tasks.build_id = events.build_id
    AND tasks.task_id = events.event::json ->> 'task_id'
WHERE tasks.kind = 'encode' AND events.event::json ->> 'event' = 'leased';
