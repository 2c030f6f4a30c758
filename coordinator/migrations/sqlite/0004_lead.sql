-- Which coordinator leads, and until when. The epoch only grows: it fences what earlier leaders write.
CREATE TABLE lead (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    epoch    INTEGER NOT NULL,
    holder   TEXT NOT NULL,              -- empty for nobody
    address  TEXT NOT NULL,              -- where others reach it
    expires  INTEGER NOT NULL            -- milliseconds since 1970, by this database's clock
) STRICT;

INSERT INTO lead (only_one, epoch, holder, address, expires) VALUES (1, 1, '', '', 0);

CREATE VIEW clock (now) AS SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER);
