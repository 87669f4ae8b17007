-- What is shown of the connections of devices and modules. Written some seconds later, many at once: a connection costs no commit.
CREATE TABLE presences (
    identity INTEGER PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    -- When it connected or disconnected last, and when it was heard of last.
    changed  INTEGER NOT NULL,
    active   INTEGER NOT NULL,
    -- The Plug and Play model that it announced.
    model_id TEXT
);
