-- Times are units of 100 ns since 1970-01-01 UTC. Ids are kept as spelled; `folded` columns are lower case.
-- Rowid tables with UNIQUE keys throughout: WITHOUT ROWID costs four times the CPU with rows of 1 KB and random keys.

-- Provisioning services of this data directory. There is one; its ID scope is part of the key of all it owns.
CREATE TABLE services (
    id_scope      TEXT NOT NULL UNIQUE,
    operation_key TEXT NOT NULL,
    created       INTEGER NOT NULL
);

CREATE TABLE hubs (
    name              TEXT NOT NULL UNIQUE,
    host              TEXT NOT NULL,
    created           INTEGER NOT NULL,
    -- Full pass of the deployment engine: NULL when none is due, else the device id after which it goes on.
    targeting_cursor  TEXT,
    -- Counts the full passes begun, so that a pass overtaken by a change cannot note itself as done.
    targeting_epoch   INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE linked_hubs (
    id_scope                TEXT NOT NULL REFERENCES services (id_scope),
    hub                     TEXT NOT NULL REFERENCES hubs (name),
    allocation_weight       INTEGER,
    apply_allocation_policy INTEGER NOT NULL,
    UNIQUE (id_scope, hub)
);

-- Shared access policies. `owner` is an ID scope or a hub name, told apart by `owner_kind`.
CREATE TABLE policies (
    owner_kind    TEXT NOT NULL CHECK (owner_kind IN ('service', 'hub')),
    owner         TEXT NOT NULL,
    name          TEXT NOT NULL,
    primary_key   TEXT NOT NULL,
    secondary_key TEXT NOT NULL,
    rights        TEXT NOT NULL,
    UNIQUE (owner_kind, owner, name)
);

CREATE TABLE enrollments (
    id       INTEGER PRIMARY KEY,
    id_scope TEXT NOT NULL REFERENCES services (id_scope),
    kind     TEXT NOT NULL CHECK (kind IN ('individual', 'group')),
    folded   TEXT NOT NULL,
    spelled  TEXT NOT NULL,
    etag     TEXT NOT NULL,
    enabled  INTEGER NOT NULL,
    document TEXT NOT NULL,
    created  INTEGER NOT NULL,
    updated  INTEGER NOT NULL,
    UNIQUE (id_scope, kind, folded)
);

-- One certificate belongs to one entry of a service.
CREATE TABLE enrollment_certificates (
    id_scope   TEXT NOT NULL,
    thumbprint BLOB NOT NULL,
    enrollment INTEGER NOT NULL REFERENCES enrollments (id) ON DELETE CASCADE,
    slot       TEXT NOT NULL CHECK (slot IN ('primary', 'secondary')),
    der        BLOB NOT NULL,
    UNIQUE (id_scope, thumbprint)
);
CREATE INDEX enrollment_certificates_by_enrollment ON enrollment_certificates (enrollment);

CREATE TABLE registrations (
    id            INTEGER PRIMARY KEY,
    id_scope      TEXT NOT NULL,
    folded        TEXT NOT NULL,
    spelled       TEXT NOT NULL,
    -- The group as spelled; NULL for an individual enrollment.
    group_id      TEXT,
    group_folded  TEXT,
    status        TEXT NOT NULL,
    substatus     TEXT,
    hub           TEXT,
    device_id     TEXT,
    error_code    INTEGER,
    error_message TEXT,
    etag          TEXT NOT NULL,
    payload       TEXT,
    detail        TEXT,
    created       INTEGER NOT NULL,
    updated       INTEGER NOT NULL,
    UNIQUE (id_scope, folded)
);
CREATE INDEX registrations_by_group ON registrations (id_scope, group_folded, folded) WHERE group_folded IS NOT NULL;
CREATE INDEX registrations_by_device ON registrations (hub, device_id) WHERE hub IS NOT NULL;

-- Devices (module_id = '') and modules, each with its twin in the same row: one insert makes both, one delete removes both.
-- What a CONNECT reads comes first, so that long documents stay unread on their overflow pages.
CREATE TABLE identities (
    id               INTEGER PRIMARY KEY,
    hub              TEXT NOT NULL,
    device_id        TEXT NOT NULL,
    module_id        TEXT NOT NULL,
    generation_id    TEXT NOT NULL,
    revision         INTEGER NOT NULL,
    enabled          INTEGER NOT NULL,
    status_reason    TEXT,
    status_updated   INTEGER NOT NULL,
    auth_kind        TEXT NOT NULL,
    -- Base64 keys or hexadecimal thumbprints, as auth_kind says.
    auth_primary     TEXT,
    auth_secondary   TEXT,
    iot_edge         INTEGER NOT NULL,
    managed_by       TEXT,
    device_scope     TEXT,
    -- JSON array; NULL when empty.
    parent_scopes    TEXT,
    twin_version     INTEGER NOT NULL,
    desired_version  INTEGER NOT NULL,
    reported_version INTEGER NOT NULL,
    -- When the documents were last written whole; the date of every property that has no metadata of its own.
    twin_written     INTEGER NOT NULL,
    -- JSONB; NULL stands for {}. Metadata is text; NULL when all of it is (twin_written, version).
    tags              BLOB,
    desired           BLOB,
    reported          BLOB,
    configurations    BLOB,
    desired_metadata  TEXT,
    reported_metadata TEXT,
    UNIQUE (hub, device_id, module_id)
);

CREATE TABLE configurations (
    -- Never given out twice: (id, revision) tells readers whether what they remember is current.
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    hub              TEXT NOT NULL REFERENCES hubs (name),
    configuration_id TEXT NOT NULL,
    revision         INTEGER NOT NULL,
    priority         INTEGER NOT NULL,
    kind             TEXT NOT NULL,
    target_condition TEXT NOT NULL,
    -- Whether the condition looks at reported properties: only then must a device's report be followed by targeting.
    reads_reported   INTEGER NOT NULL,
    -- labels, schemaVersion, content, metric queries, as JSON.
    document         TEXT NOT NULL,
    created          INTEGER NOT NULL,
    updated          INTEGER NOT NULL,
    UNIQUE (hub, configuration_id)
);

-- Which devices a configuration matches, and whether it is part of their result.
CREATE TABLE configuration_targets (
    hub              TEXT NOT NULL,
    device_id        TEXT NOT NULL,
    configuration_id TEXT NOT NULL,
    applied          INTEGER NOT NULL,
    UNIQUE (hub, device_id, configuration_id)
);
CREATE INDEX configuration_targets_by_configuration
    ON configuration_targets (hub, configuration_id, applied, device_id);

-- Edge devices that changed since the deployment engine last looked at them.
CREATE TABLE targeting_queue (
    id        INTEGER PRIMARY KEY,
    hub       TEXT NOT NULL,
    device_id TEXT NOT NULL,
    UNIQUE (hub, device_id)
);
