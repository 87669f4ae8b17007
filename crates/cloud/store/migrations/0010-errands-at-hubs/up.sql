-- What is still to be done to devices of hubs elsewhere, tried again until it is done. A device has one errand at most: the latest.
CREATE TABLE hub_errands (
    -- Never given out twice: whoever comes back to an errand late names it by this.
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    hub       TEXT NOT NULL,
    device_id TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('remove', 'disable', 'enable')),
    -- Counts the changes of the row: whoever comes back to it late sees that he does.
    revision  INTEGER NOT NULL,
    tries     INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    -- Why the last try failed.
    problem   TEXT,
    UNIQUE (hub, device_id)
);
CREATE INDEX hub_errands_by_due ON hub_errands (due);
