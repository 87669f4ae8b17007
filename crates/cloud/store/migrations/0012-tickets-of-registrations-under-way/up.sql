-- The id of a registration under way is never given out twice: whoever comes back to it late sees that it is another one by now.
CREATE TABLE registrations_underway_named (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    id_scope    TEXT NOT NULL,
    folded      TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    destination TEXT NOT NULL,
    due         INTEGER NOT NULL,
    document    TEXT NOT NULL,
    UNIQUE (id_scope, folded)
);
INSERT INTO registrations_underway_named (id, id_scope, folded, revision, destination, due, document)
SELECT id, id_scope, folded, revision, destination, due, document FROM registrations_underway;
DROP TABLE registrations_underway;
ALTER TABLE registrations_underway_named RENAME TO registrations_underway;
CREATE INDEX registrations_underway_by_due ON registrations_underway (due);

-- Refusals and notes of allocations are numbered within their service, and the oldest of each service make room for its own newest:
-- a flood at one service drops nothing of another's.
ALTER TABLE refusals ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
UPDATE refusals SET number = id;
CREATE INDEX refusals_by_number ON refusals (id_scope, number);
ALTER TABLE allocations ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
UPDATE allocations SET number = id;
CREATE INDEX allocations_by_number ON allocations (id_scope, number);
