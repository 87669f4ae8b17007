-- The audit: records of acts and of decisions, each with a hash over itself and all before it in its book. A row is what one
-- commit added. `src/audit/record.rs` says what is in `records`.
CREATE TABLE audit_acts (
    first   INTEGER PRIMARY KEY,
    -- Earliest and latest time of its records.
    since   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    records BLOB NOT NULL
);

CREATE TABLE audit_decisions (
    first   INTEGER PRIMARY KEY,
    since   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    records BLOB NOT NULL
);

-- What is dropped at once. Records `first` to `last`, the hash before the first and at the last one.
CREATE TABLE audit_segments (
    book     TEXT NOT NULL CHECK (book IN ('acts', 'decisions')),
    first    INTEGER NOT NULL,
    previous BLOB NOT NULL,
    last     INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    bytes    INTEGER NOT NULL,
    UNIQUE (book, first)
);

-- Registrations that were not let in, for operators: the last few of each registration, and so many altogether. The newest
-- has the largest id; one that comes again takes a new id and goes on counting.
CREATE TABLE refusals (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    id_scope   TEXT NOT NULL,
    folded     TEXT NOT NULL,
    spelled    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    error_code INTEGER NOT NULL,
    -- What was shown, hashed: the same device with the same fault is the same refusal.
    credential BLOB NOT NULL,
    times      INTEGER NOT NULL,
    first      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    -- JSON: what was seen and tried, and what to do.
    report     TEXT NOT NULL
);
CREATE INDEX refusals_by_registration ON refusals (id_scope, folded, id);

-- Devices that an operator shut out everywhere, and what there was before, so that it can be put back.
CREATE TABLE blocks (
    id_scope        TEXT NOT NULL REFERENCES services (id_scope),
    folded          TEXT NOT NULL,
    spelled         TEXT NOT NULL,
    -- In the operator's words.
    reason          TEXT,
    blocked         INTEGER NOT NULL,
    -- The individual enrollment was made for this, was disabled for this, or was disabled before.
    entry           TEXT NOT NULL CHECK (entry IN ('made', 'disabled', 'kept')),
    hub             TEXT,
    device_id       TEXT,
    -- Whether the hub device was disabled for this.
    device_disabled INTEGER NOT NULL,
    UNIQUE (id_scope, folded)
);
