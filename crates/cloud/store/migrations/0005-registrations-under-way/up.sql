-- Registrations that wait for somebody outside this process, each until its record says what became of it.
CREATE TABLE registrations_underway (
    id          INTEGER PRIMARY KEY,
    id_scope    TEXT NOT NULL,
    folded      TEXT NOT NULL,
    -- Counts the changes of the row: whoever comes back to it late sees that he does.
    revision    INTEGER NOT NULL,
    -- Who is asked. Only so many are asked at once of any one.
    destination TEXT NOT NULL,
    due         INTEGER NOT NULL,
    -- JSON; may hold keys.
    document    TEXT NOT NULL,
    UNIQUE (id_scope, folded)
);
CREATE INDEX registrations_underway_by_due ON registrations_underway (due);

-- What custom allocations were asked and what they answered, the latest few of each registration.
CREATE TABLE allocations (
    -- Never given out twice: operators name a record by it.
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    id_scope TEXT NOT NULL,
    folded   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX allocations_by_registration ON allocations (id_scope, folded, id);
