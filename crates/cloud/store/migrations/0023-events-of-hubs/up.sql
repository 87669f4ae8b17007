-- Events of the hubs themselves, written with the change that they are about, until they are in the log of their hub.
CREATE TABLE hub_events (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    hub    TEXT NOT NULL REFERENCES hubs (name) ON DELETE CASCADE,
    record BLOB NOT NULL
);
CREATE INDEX hub_events_by_hub ON hub_events (hub, id);
