-- Who is served first.
ALTER TABLE builds ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE builds ADD COLUMN deadline INTEGER;   -- milliseconds since 1970
