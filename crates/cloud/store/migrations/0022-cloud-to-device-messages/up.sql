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

-- MQTT subscriptions to cloud-to-device messages that outlive their session (CleanSession 0).
CREATE TABLE queue_subscriptions (
    identity INTEGER PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    qos      INTEGER NOT NULL CHECK (qos IN (0, 1))
);

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
