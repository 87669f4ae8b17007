-- Columns that were called `standing` and `entry` say what they hold.

ALTER TABLE ca_certificates RENAME COLUMN standing TO state;
DROP INDEX ca_certificates_by_thumbprint;
CREATE UNIQUE INDEX ca_certificates_by_thumbprint
    ON ca_certificates (id_scope, thumbprint) WHERE state <> 'withdrawn';

CREATE TABLE blocks_renamed (
    id_scope          TEXT NOT NULL REFERENCES services (id_scope),
    folded            TEXT NOT NULL,
    spelled           TEXT NOT NULL,
    reason            TEXT,
    blocked           INTEGER NOT NULL,
    enrollment_change TEXT NOT NULL CHECK (enrollment_change IN ('created', 'disabled', 'none')),
    hub               TEXT,
    device_id         TEXT,
    device_disabled   INTEGER NOT NULL,
    UNIQUE (id_scope, folded)
);
INSERT INTO blocks_renamed (id_scope, folded, spelled, reason, blocked, enrollment_change, hub, device_id, device_disabled)
SELECT id_scope, folded, spelled, reason, blocked,
       CASE entry WHEN 'made' THEN 'created' WHEN 'disabled' THEN 'disabled' ELSE 'none' END,
       hub, device_id, device_disabled
FROM blocks;
DROP TABLE blocks;
ALTER TABLE blocks_renamed RENAME TO blocks;
