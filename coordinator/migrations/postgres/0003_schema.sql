-- The oldest schema whose coordinators may still use this database, as the number of its last migration.
-- A migration that only adds leaves it alone: the release before goes on, and may start. One that takes
-- something away (a release after the code stopped using it) raises it to the first that does without.
CREATE TABLE schema_floor (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    floor    BIGINT NOT NULL
);

INSERT INTO schema_floor (only_one, floor) VALUES (1, 3);
