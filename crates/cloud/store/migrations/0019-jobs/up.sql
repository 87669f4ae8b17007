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
