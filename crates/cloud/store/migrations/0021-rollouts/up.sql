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
    UNIQUE (hub, device_id, rollout)
);
CREATE INDEX rollout_devices_waiting ON rollout_devices (rollout, ring, device_id)
    WHERE admitted IS NULL;
CREATE INDEX rollout_devices_admitted ON rollout_devices (rollout, device_id)
    WHERE admitted IS NOT NULL;
