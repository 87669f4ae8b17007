-- The scalars of the tags of devices and modules, by path and value, for queries. Values are texts that compare by bytes.
-- In the order of rows: a new device goes to the end of its value.
CREATE TABLE tag_values (
    hub       TEXT NOT NULL,
    of_module INTEGER NOT NULL,
    path      TEXT NOT NULL,
    value     TEXT NOT NULL,
    -- Row of the device or module.
    identity  INTEGER NOT NULL,
    PRIMARY KEY (hub, of_module, path, value, identity)
) WITHOUT ROWID;
