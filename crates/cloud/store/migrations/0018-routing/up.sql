-- Which events of a hub go to which endpoints: one document a hub.
CREATE TABLE hub_routing (
    hub      TEXT NOT NULL PRIMARY KEY REFERENCES hubs (name) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    document TEXT NOT NULL,
    updated  INTEGER NOT NULL
);

-- How far each endpoint is in the event log of its hub.
CREATE TABLE endpoint_cursors (
    hub           TEXT NOT NULL REFERENCES hubs (name) ON DELETE CASCADE,
    endpoint      TEXT NOT NULL,
    position      INTEGER NOT NULL,
    delivered     INTEGER NOT NULL,
    dead_lettered INTEGER NOT NULL,
    missed        INTEGER NOT NULL,
    PRIMARY KEY (hub, endpoint)
);

-- Readers of the built-in endpoint. The checkpoint: the offset of the last event that is done.
CREATE TABLE consumer_groups (
    hub          TEXT NOT NULL REFERENCES hubs (name) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    created      INTEGER NOT NULL,
    position     INTEGER,
    checkpointed INTEGER,
    PRIMARY KEY (hub, name)
);
