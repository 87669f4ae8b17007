-- Times are units of 100 ns since 1970-01-01 UTC. `spelled` columns keep an id as it was written,
-- `folded` ones hold it in lower case. Documents are JSON. Rowid tables with UNIQUE keys
-- throughout: WITHOUT ROWID costs four times the CPU with rows of 1 KB and random keys.

-- Provisioning services of this data directory. The ID scope is part of the key of all it owns.
CREATE TABLE services (
    id_scope          TEXT NOT NULL UNIQUE,
    operation_key     TEXT NOT NULL,
    created           INTEGER NOT NULL,
    name              TEXT NOT NULL DEFAULT 'dps',
    -- The host of its service API; NULL: the server's own.
    host              TEXT,
    -- Of enrollments that name none.
    allocation_policy TEXT NOT NULL DEFAULT 'hashed'
);
CREATE UNIQUE INDEX services_by_name ON services (name COLLATE NOCASE);

CREATE TABLE hubs (
    name             TEXT NOT NULL UNIQUE,
    host             TEXT NOT NULL,
    created          INTEGER NOT NULL,
    -- Full pass of the deployment engine: NULL when none is due, else the device id after which it
    -- continues.
    targeting_cursor TEXT,
    -- Counts the full passes begun, so that a pass overtaken by a change cannot mark itself done.
    targeting_epoch  INTEGER NOT NULL DEFAULT 0,
    -- Policy and key that open the service API of a remote hub; NULL for a hub of this server.
    remote_policy    TEXT,
    remote_key       TEXT,
    -- Whether the full pass looks at all devices, or at Edge devices only.
    targeting_all    INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX hubs_by_name ON hubs (name COLLATE NOCASE);

CREATE TABLE linked_hubs (
    id_scope                TEXT NOT NULL REFERENCES services (id_scope),
    hub                     TEXT NOT NULL REFERENCES hubs (name),
    allocation_weight       INTEGER,
    apply_allocation_policy INTEGER NOT NULL,
    -- How far clients are from the hub, by their network: a JSON array, or NULL.
    latencies               TEXT,
    UNIQUE (id_scope, hub)
);

-- Host names that hubs of this directory had. Devices may still connect to them: the server's
-- certificate names them, and a request there is answered with "register again".
CREATE TABLE former_hosts (
    -- In lower case, without a port.
    host  TEXT PRIMARY KEY,
    -- The hub that had it; NULL once that hub is deleted.
    hub   TEXT,
    -- When it was given up.
    until INTEGER NOT NULL
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

-- CA certificates that operators uploaded to a service; enrollments refer to them by name.
CREATE TABLE ca_certificates (
    id           INTEGER PRIMARY KEY,
    id_scope     TEXT NOT NULL REFERENCES services (id_scope),
    folded       TEXT NOT NULL,
    spelled      TEXT NOT NULL,
    thumbprint   BLOB NOT NULL,
    -- By it a chain is continued that ends before this certificate.
    subject      BLOB NOT NULL,
    der          BLOB NOT NULL,
    -- 'withdrawn' is what is left of a deleted one while enrollments refer to it: their devices are
    -- refused for that reason.
    state        TEXT NOT NULL CHECK (state IN ('unverified', 'verified', 'withdrawn')),
    -- The common name that a certificate must have to prove possession of the key, and until when
    -- it counts.
    code         TEXT,
    code_expires INTEGER,
    etag         TEXT NOT NULL,
    created      INTEGER NOT NULL,
    updated      INTEGER NOT NULL,
    UNIQUE (id_scope, folded)
);
CREATE UNIQUE INDEX ca_certificates_by_thumbprint
    ON ca_certificates (id_scope, thumbprint) WHERE state <> 'withdrawn';

-- Issuers of device certificates. Their keys are not in here.
CREATE TABLE issuers (
    id         INTEGER PRIMARY KEY,
    id_scope   TEXT NOT NULL REFERENCES services (id_scope),
    folded     TEXT NOT NULL,
    spelled    TEXT NOT NULL,
    -- SHA-256 of its certificate: by it its key is found.
    thumbprint BLOB NOT NULL,
    document   TEXT NOT NULL,
    etag       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    updated    INTEGER NOT NULL,
    UNIQUE (id_scope, folded)
);

CREATE TABLE issuer_users (
    id        INTEGER PRIMARY KEY,
    issuer    INTEGER NOT NULL REFERENCES issuers (id) ON DELETE CASCADE,
    folded    TEXT NOT NULL,
    spelled   TEXT NOT NULL,
    -- A PHC string; 'sha256:' and hexadecimal for a password of 256 random bits.
    password  TEXT NOT NULL,
    -- Certificates that may still be issued; NULL: as many as wanted.
    uses_left INTEGER CHECK (uses_left >= 0),
    expires   INTEGER,
    etag      TEXT NOT NULL,
    created   INTEGER NOT NULL,
    updated   INTEGER NOT NULL,
    UNIQUE (issuer, folded)
);

CREATE TABLE issued_certificates (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    id_scope   TEXT NOT NULL,
    -- The name in lower case; stays when the issuer goes.
    issuer     TEXT NOT NULL,
    -- SHA-256 of the CA certificate that signed it.
    authority  BLOB NOT NULL,
    serial     BLOB NOT NULL,
    -- The common name, in lower case and as spelled.
    folded     TEXT NOT NULL,
    spelled    TEXT NOT NULL,
    thumbprint BLOB NOT NULL,
    not_before INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    key_type   TEXT,
    origin     TEXT NOT NULL
               CHECK (origin IN ('registration', 'est', 'hub', 'operator', 'audit')),
    -- The user of the issuer who had it issued.
    username   TEXT,
    issued     INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('valid', 'held', 'revoked')),
    reason     TEXT,
    -- When the state last changed.
    changed    INTEGER,
    -- NULL when it was taken from the audit.
    der        BLOB,
    -- NULL when it was taken from the audit, without its DER.
    log_index  INTEGER,
    -- Serial numbers begin with the time: the index grows at its end.
    UNIQUE (id_scope, serial, authority)
);
CREATE INDEX issued_certificates_by_subject ON issued_certificates (id_scope, issuer, folded);
CREATE INDEX issued_certificates_by_expiry ON issued_certificates (id_scope, issuer, not_after);
CREATE INDEX issued_certificates_not_valid ON issued_certificates (id_scope, issuer)
    WHERE state <> 'valid';

-- How far the certificates of earlier versions, which only the audit knows, have been taken over;
-- no row once all of them are.
CREATE TABLE certificate_takeover (
    -- The first record of the decisions that was not looked at.
    next  INTEGER NOT NULL,
    -- The last one that an earlier version wrote.
    until INTEGER NOT NULL
);

-- CA certificates of issuers that have certificates revoked or on hold. Certificates name their CA
-- by its name and key, not by the digest that issued_certificates has.
CREATE TABLE revoking_ca_certificates (
    id_scope  TEXT NOT NULL REFERENCES services (id_scope),
    -- The issuer's name in lower case; stays when the issuer goes.
    issuer    TEXT NOT NULL,
    authority BLOB NOT NULL,
    der       BLOB NOT NULL,
    UNIQUE (id_scope, issuer, authority)
);

-- Revocation lists of other CAs.
CREATE TABLE revocation_lists (
    id            INTEGER PRIMARY KEY,
    id_scope      TEXT NOT NULL REFERENCES services (id_scope),
    folded        TEXT NOT NULL,
    spelled       TEXT NOT NULL,
    -- The CA certificate whose key signs the list.
    ca            BLOB NOT NULL,
    -- What becomes of the CA's certificates while the list is too old.
    stale         TEXT NOT NULL CHECK (stale IN ('accept', 'refuse')),
    -- Where the list is fetched from, and how often; NULL: it is uploaded.
    url           TEXT,
    interval      INTEGER,
    -- What the list said of itself; NULL while no list was read.
    number        BLOB,
    this_update   INTEGER,
    next_update   INTEGER,
    entries       INTEGER,
    -- When it was stored, and for the next fetch: what the server called this version.
    stored        INTEGER,
    http_etag     TEXT,
    http_modified TEXT,
    -- The last look at the URL, and why it brought no list.
    fetched       INTEGER,
    fault         TEXT,
    etag          TEXT NOT NULL,
    created       INTEGER NOT NULL,
    updated       INTEGER NOT NULL,
    UNIQUE (id_scope, folded)
);

-- Apart, because they are long and the rows change often.
CREATE TABLE revocation_list_contents (
    list INTEGER PRIMARY KEY REFERENCES revocation_lists (id) ON DELETE CASCADE,
    der  BLOB NOT NULL
);

CREATE TABLE trust_bundles (
    id       INTEGER PRIMARY KEY,
    id_scope TEXT NOT NULL REFERENCES services (id_scope),
    folded   TEXT NOT NULL,
    spelled  TEXT NOT NULL,
    document TEXT NOT NULL,
    etag     TEXT NOT NULL,
    created  INTEGER NOT NULL,
    updated  INTEGER NOT NULL,
    UNIQUE (id_scope, folded)
);

-- Individual enrollments and enrollment groups.
CREATE TABLE enrollments (
    id           INTEGER PRIMARY KEY,
    id_scope     TEXT NOT NULL REFERENCES services (id_scope),
    kind         TEXT NOT NULL CHECK (kind IN ('individual', 'group')),
    folded       TEXT NOT NULL,
    spelled      TEXT NOT NULL,
    etag         TEXT NOT NULL,
    enabled      INTEGER NOT NULL,
    document     TEXT NOT NULL,
    created      INTEGER NOT NULL,
    updated      INTEGER NOT NULL,
    attestation  TEXT NOT NULL DEFAULT 'x509',
    issuer       INTEGER REFERENCES issuers (id),
    trust_bundle INTEGER REFERENCES trust_bundles (id),
    UNIQUE (id_scope, kind, folded)
);
-- A token names no group: all groups with keys are asked.
CREATE INDEX enrollment_groups_with_keys ON enrollments (id_scope, folded)
    WHERE kind = 'group' AND attestation = 'symmetricKey';
-- An issuer or trust bundle that an enrollment names cannot be deleted.
CREATE INDEX enrollments_by_issuer ON enrollments (issuer) WHERE issuer IS NOT NULL;
CREATE INDEX enrollments_by_trust_bundle ON enrollments (trust_bundle) WHERE trust_bundle IS NOT NULL;

-- One certificate belongs to one enrollment of a service.
CREATE TABLE enrollment_certificates (
    id_scope   TEXT NOT NULL,
    thumbprint BLOB NOT NULL,
    enrollment INTEGER NOT NULL REFERENCES enrollments (id) ON DELETE CASCADE,
    slot       TEXT NOT NULL CHECK (slot IN ('primary', 'secondary')),
    der        BLOB NOT NULL,
    -- Of a group's certificate; NULL for leaves; empty for groups written before there was this
    -- column.
    subject    BLOB,
    UNIQUE (id_scope, thumbprint)
);
CREATE INDEX enrollment_certificates_by_enrollment ON enrollment_certificates (enrollment);
CREATE INDEX enrollment_certificates_by_subject ON enrollment_certificates (id_scope, subject) WHERE subject IS NOT NULL;

-- The uploaded CA certificates that an enrollment refers to.
CREATE TABLE enrollment_ca_certificates (
    enrollment     INTEGER NOT NULL REFERENCES enrollments (id) ON DELETE CASCADE,
    slot           TEXT NOT NULL CHECK (slot IN ('primary', 'secondary')),
    ca_certificate INTEGER NOT NULL REFERENCES ca_certificates (id),
    UNIQUE (enrollment, slot)
);
CREATE INDEX enrollment_ca_certificates_by_ca_certificate ON enrollment_ca_certificates (ca_certificate);

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
-- In the order of registration, not of ids: a new entry goes to the end of its group.
CREATE INDEX registrations_by_group ON registrations (id_scope, group_folded) WHERE group_folded IS NOT NULL;
-- A device that is named after its registration is found by that name.
CREATE INDEX registrations_by_device ON registrations (hub, device_id) WHERE device_id <> spelled;

-- A device belongs to one registration. A unique index on (hub, device_id) would be one more random page in the log for each
-- registration, a third of its cost; nearly all devices are named after their registration, which the key of the table keeps
-- unique within a service. So the constraint looks only where that does not suffice. It holds for what is written from now on:
-- registrations that share a device already keep it.
CREATE TRIGGER registrations_share_no_device_when_inserted BEFORE INSERT ON registrations
WHEN NEW.device_id <> NEW.spelled
    OR EXISTS (SELECT 1 FROM services WHERE id_scope <> NEW.id_scope)
    OR EXISTS (SELECT 1 FROM registrations
               WHERE hub = NEW.hub AND device_id = NEW.device_id AND device_id <> spelled)
BEGIN
    SELECT RAISE(ABORT, 'UNIQUE constraint failed: registrations.hub, registrations.device_id')
    WHERE EXISTS (SELECT 1 FROM registrations
                  WHERE hub = NEW.hub AND device_id = NEW.device_id AND device_id <> spelled)
       OR EXISTS (SELECT 1 FROM registrations
                  WHERE id_scope IN (SELECT id_scope FROM services) AND folded = lower(NEW.device_id)
                      AND hub = NEW.hub AND device_id = NEW.device_id);
END;
CREATE TRIGGER registrations_share_no_device_when_updated BEFORE UPDATE OF hub, device_id ON registrations
WHEN NEW.hub IS NOT OLD.hub OR NEW.device_id IS NOT OLD.device_id
BEGIN
    SELECT RAISE(ABORT, 'UNIQUE constraint failed: registrations.hub, registrations.device_id')
    WHERE EXISTS (SELECT 1 FROM registrations
                  WHERE hub = NEW.hub AND device_id = NEW.device_id AND device_id <> spelled AND id <> NEW.id)
       OR EXISTS (SELECT 1 FROM registrations
                  WHERE id_scope IN (SELECT id_scope FROM services) AND folded = lower(NEW.device_id)
                      AND hub = NEW.hub AND device_id = NEW.device_id AND id <> NEW.id);
END;

-- Registrations that wait for a webhook or a remote hub.
CREATE TABLE pending_registrations (
    -- Never given out twice: a late answer names its row by it.
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    id_scope    TEXT NOT NULL,
    folded      TEXT NOT NULL,
    -- Counts the changes of the row: a late answer finds another one.
    revision    INTEGER NOT NULL,
    -- The webhook or hub that is asked. Only so many are asked at once of any one.
    destination TEXT NOT NULL,
    due         INTEGER NOT NULL,
    -- May hold keys.
    document    TEXT NOT NULL,
    UNIQUE (id_scope, folded)
);
CREATE INDEX pending_registrations_by_due ON pending_registrations (due);

-- Requests to webhooks of custom allocation and their answers, the latest few of each registration.
CREATE TABLE allocations (
    -- Never given out twice: operators name a record by it.
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    id_scope TEXT NOT NULL,
    folded   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    document TEXT NOT NULL,
    -- Counts within the service: of each service so many of the newest are kept.
    number   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX allocations_by_registration ON allocations (id_scope, folded, id);
CREATE UNIQUE INDEX allocations_by_number ON allocations (id_scope, number);

-- Registrations that were refused, for operators: the last few of each registration, and so many of
-- each service. The newest has the largest id; one that comes again takes a new id and goes on
-- counting.
CREATE TABLE refusals (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    id_scope   TEXT NOT NULL,
    folded     TEXT NOT NULL,
    spelled    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    error_code INTEGER NOT NULL,
    -- SHA-256 of the credential: the same device with the same fault is the same refusal.
    credential BLOB NOT NULL,
    times      INTEGER NOT NULL,
    first      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    -- What was seen and tried, and what to do.
    report     TEXT NOT NULL,
    -- Counts within the service; the newest has the largest.
    number     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX refusals_by_registration ON refusals (id_scope, folded, id);
CREATE UNIQUE INDEX refusals_by_number ON refusals (id_scope, number);

-- Devices that an operator blocked, and what there was before, so that it can be put back.
CREATE TABLE blocks (
    id_scope          TEXT NOT NULL REFERENCES services (id_scope),
    folded            TEXT NOT NULL,
    spelled           TEXT NOT NULL,
    -- In the operator's words.
    reason            TEXT,
    blocked           INTEGER NOT NULL,
    -- The individual enrollment was created for this, was disabled for this, or was disabled before.
    enrollment_change TEXT NOT NULL CHECK (enrollment_change IN ('created', 'disabled', 'none')),
    hub               TEXT,
    device_id         TEXT,
    -- Whether the hub device was disabled for this.
    device_disabled   INTEGER NOT NULL,
    UNIQUE (id_scope, folded)
);

-- What is still to be done to devices of remote hubs, tried again until it is done. A device has one
-- task at most: the latest.
CREATE TABLE remote_tasks (
    -- Never given out twice: a late answer names its row by it.
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    hub       TEXT NOT NULL,
    device_id TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('remove', 'disable', 'enable')),
    -- Counts the changes of the row: a late answer finds another one.
    revision  INTEGER NOT NULL,
    tries     INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    -- Why the last try failed.
    problem   TEXT,
    UNIQUE (hub, device_id)
);
CREATE INDEX remote_tasks_by_due ON remote_tasks (due);

-- Devices (module_id = '') and modules, each with its twin in the same row: one insert makes both,
-- one delete removes both. What a CONNECT reads comes first, so that long documents stay unread on
-- their overflow pages.
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
    -- When the documents were last written whole; the date of every property that has no metadata
    -- of its own.
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

-- When devices and modules were last connected and active. Written some seconds later, many at once:
-- a connection costs no commit.
CREATE TABLE presences (
    identity INTEGER PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    -- When it connected or disconnected last, and when it was active last.
    changed  INTEGER NOT NULL,
    active   INTEGER NOT NULL,
    -- The Plug and Play model that it announced.
    model_id TEXT
);

-- Cloud-to-device messages that wait for their device or module, or are with it.
CREATE TABLE queued_messages (
    -- Never given out twice: the sequence number that receivers see.
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    identity     INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    revision     INTEGER NOT NULL,
    message_id   TEXT NOT NULL,
    ack          TEXT NOT NULL CHECK (ack IN ('none', 'positive', 'negative', 'full')),
    -- JSON array of [name, value], named as in the property bag of MQTT.
    properties   TEXT NOT NULL,
    body         BLOB NOT NULL,
    enqueued     INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    -- How often a receiver abandoned it.
    deliveries   INTEGER NOT NULL,
    -- An MQTT session or a receiver over HTTPS has it until then; all three or none.
    lock_holder  TEXT CHECK (lock_holder IN ('session', 'receiver')),
    lock_token   TEXT,
    locked_until INTEGER
);
CREATE INDEX queued_messages_by_identity ON queued_messages (identity, id);
CREATE INDEX queued_messages_by_expiry ON queued_messages (expires);

-- What back ends are to hear: outcomes of cloud-to-device messages, uploaded files.
CREATE TABLE notifications (
    -- Never given out twice: the sequence number that receivers see.
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    hub          TEXT NOT NULL REFERENCES hubs (name) ON DELETE CASCADE,
    kind         TEXT NOT NULL CHECK (kind IN ('feedback', 'file')),
    revision     INTEGER NOT NULL,
    -- JSON as receivers read it.
    record       TEXT NOT NULL,
    created      INTEGER NOT NULL,
    -- How often a receiver abandoned it.
    deliveries   INTEGER NOT NULL,
    -- A receiver has it until then; both or none.
    lock_token   TEXT,
    locked_until INTEGER
);
CREATE INDEX notifications_by_hub ON notifications (hub, kind, id);
CREATE INDEX notifications_by_time ON notifications (created);

CREATE TABLE configurations (
    -- Never given out twice: (id, revision) tells readers whether what they remember is current.
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    hub              TEXT NOT NULL REFERENCES hubs (name),
    configuration_id TEXT NOT NULL,
    revision         INTEGER NOT NULL,
    priority         INTEGER NOT NULL,
    kind             TEXT NOT NULL,
    target_condition TEXT NOT NULL,
    -- Whether the condition looks at reported properties: only then must a device's report be
    -- followed by targeting.
    reads_reported   INTEGER NOT NULL,
    -- Labels, schemaVersion, content, metric queries.
    document         TEXT NOT NULL,
    created          INTEGER NOT NULL,
    updated          INTEGER NOT NULL,
    -- What its custom metrics counted last, as JSON.
    metric_results   TEXT,
    UNIQUE (hub, configuration_id)
);

-- Which devices and modules a configuration matches, and whether it is part of their result.
CREATE TABLE configuration_targets (
    hub              TEXT NOT NULL,
    device_id        TEXT NOT NULL,
    -- Empty for the device itself.
    module_id        TEXT NOT NULL,
    configuration_id TEXT NOT NULL,
    applied          INTEGER NOT NULL,
    UNIQUE (hub, device_id, module_id, configuration_id)
);
CREATE INDEX configuration_targets_by_configuration
    ON configuration_targets (hub, configuration_id, applied, device_id);

-- Which desired properties of a twin came from device and module configurations, as JSON.
CREATE TABLE configuration_settings (
    hub       TEXT NOT NULL,
    device_id TEXT NOT NULL,
    module_id TEXT NOT NULL,
    document  TEXT NOT NULL,
    UNIQUE (hub, device_id, module_id)
);

-- Devices that changed since configurations were last evaluated for them.
CREATE TABLE targeting_queue (
    id        INTEGER PRIMARY KEY,
    hub       TEXT NOT NULL,
    device_id TEXT NOT NULL,
    UNIQUE (hub, device_id)
);

-- Staged rollouts of deployments.
CREATE TABLE rollouts (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    hub              TEXT NOT NULL,
    -- The row id of the deployment: one of the same name that is created later is another one.
    configuration    INTEGER NOT NULL,
    configuration_id TEXT NOT NULL,
    revision         INTEGER NOT NULL,
    -- 0: the deployment applies wherever it matches; 1: on admitted devices; 2: nowhere.
    hold             INTEGER NOT NULL,
    -- Rings, gate, state and history, as JSON.
    document         TEXT NOT NULL,
    created          INTEGER NOT NULL,
    updated          INTEGER NOT NULL
);
CREATE INDEX rollouts_by_hub ON rollouts (hub, id);
CREATE UNIQUE INDEX rollouts_holding ON rollouts (hub, configuration) WHERE hold > 0;

-- The devices that the deployment of an active rollout matches.
CREATE TABLE rollout_devices (
    hub       TEXT NOT NULL,
    device_id TEXT NOT NULL,
    rollout   INTEGER NOT NULL,
    ring      INTEGER NOT NULL,
    -- When the device got the deployment, 100 ns since 1970; NULL while it waits.
    admitted  INTEGER,
    -- How often its modules had been restarted then, as JSON.
    restarts  TEXT,
    -- Since when an admitted device owes an answer, 100 ns since 1970; NULL while it is good.
    unsettled INTEGER,
    UNIQUE (hub, device_id, rollout)
);
CREATE INDEX rollout_devices_waiting ON rollout_devices (rollout, ring, device_id)
    WHERE admitted IS NULL;
CREATE INDEX rollout_devices_admitted ON rollout_devices (rollout, device_id)
    WHERE admitted IS NOT NULL;

-- The audit: operator acts, decisions and refusals, each record with a hash over itself and all
-- before it in its stream. A row is what one commit added. `src/audit/record.rs` says what is in
-- `records`.
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

CREATE TABLE audit_refusals (
    first   INTEGER PRIMARY KEY,
    since   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    records BLOB NOT NULL
);

-- What is dropped at once. Records `first` to `last`, the hash before the first and at the last one.
CREATE TABLE audit_segments (
    stream   TEXT NOT NULL CHECK (stream IN ('acts', 'decisions', 'refusals')),
    first    INTEGER NOT NULL,
    previous BLOB NOT NULL,
    last     INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    bytes    INTEGER NOT NULL,
    -- Earliest and latest time of its records.
    since    INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    UNIQUE (stream, first)
);

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
-- Work on many devices: twin updates, direct methods, imports and exports. Kept for 30 days after
-- its end.
CREATE TABLE jobs (
    id         INTEGER PRIMARY KEY,
    hub        TEXT NOT NULL,
    job_id     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    state      TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    -- When it was asked for, when it may begin, when it ended.
    created    INTEGER NOT NULL,
    starts     INTEGER NOT NULL,
    ended      INTEGER,
    -- Seconds that it may take.
    lifetime   INTEGER NOT NULL,
    -- Which devices, as it was sent.
    condition  TEXT NOT NULL,
    -- What is done, JSON as it was sent.
    work       TEXT NOT NULL,
    -- The operator on whose behalf it runs, JSON.
    actor      TEXT NOT NULL,
    -- How far it is: the last device that was selected, or the bytes of a file that are done.
    cursor     TEXT NOT NULL,
    failure    TEXT,
    -- Devices by outcome; counted when it ends.
    succeeded  INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    cancelled  INTEGER NOT NULL,
    UNIQUE (hub, job_id)
);
CREATE INDEX jobs_open ON jobs (hub, starts) WHERE ended IS NULL;
CREATE INDEX jobs_by_end ON jobs (ended) WHERE ended IS NOT NULL;

-- What a job does to each of its devices or modules.
CREATE TABLE job_devices (
    job        INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    device_id  TEXT NOT NULL,
    -- Empty for the device itself.
    module_id  TEXT NOT NULL,
    state      TEXT NOT NULL,
    created    INTEGER NOT NULL,
    started    INTEGER,
    ended      INTEGER,
    -- The answer to a direct method, JSON.
    response   TEXT,
    error_code INTEGER,
    error_text TEXT,
    UNIQUE (job, device_id, module_id)
);
CREATE INDEX job_devices_by_state ON job_devices (job, state, device_id, module_id);

-- Events of the hubs themselves, written with the change that they are about, until they are in the log of their hub.
CREATE TABLE hub_events (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    hub    TEXT NOT NULL REFERENCES hubs (name) ON DELETE CASCADE,
    record BLOB NOT NULL
);
CREATE INDEX hub_events_by_hub ON hub_events (hub, id);

-- Files that devices may upload: from the request for a token to the notification that ends it.
CREATE TABLE file_uploads (
    correlation_id TEXT PRIMARY KEY,
    identity       INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    blob_name      TEXT NOT NULL,
    -- Base64 of the key that signs the token for the blob.
    signing_key    TEXT NOT NULL,
    expires        INTEGER NOT NULL,
    -- What the device wrote last; NULL until its first file is complete.
    bytes          INTEGER,
    modified       INTEGER
);
CREATE INDEX file_uploads_by_identity ON file_uploads (identity);
CREATE INDEX file_uploads_by_expiry ON file_uploads (expires);

-- How many devices and modules hubs have: counting the rows would read all of them. Changed at the end of
-- each transaction that inserts, deletes, moves, enables or disables some.
CREATE TABLE identity_counts (
    hub     TEXT NOT NULL PRIMARY KEY,
    devices INTEGER NOT NULL,
    -- Devices that may connect.
    enabled INTEGER NOT NULL,
    modules INTEGER NOT NULL
) WITHOUT ROWID;

-- The MQTT subscriptions that outlive their session (CleanSession 0).
CREATE TABLE kept_subscriptions (
    identity INTEGER PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    -- The QoS of each subscription that there is.
    messages INTEGER CHECK (messages IN (0, 1)),
    desired  INTEGER CHECK (desired IN (0, 1)),
    methods  INTEGER CHECK (methods IN (0, 1)),
    credentials INTEGER CHECK (credentials IN (0, 1))
);

-- The log of the certificates that a service has issued: a Merkle tree with the hashes of RFC 9162.
-- Rows are only ever inserted.
CREATE TABLE certificate_log (
    id_scope TEXT NOT NULL,
    -- 0: a certificate. Above: a complete subtree of 2^level certificates.
    level    INTEGER NOT NULL,
    -- The place among those of the level, from 0.
    place    INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    PRIMARY KEY (id_scope, level, place)
) WITHOUT ROWID;
