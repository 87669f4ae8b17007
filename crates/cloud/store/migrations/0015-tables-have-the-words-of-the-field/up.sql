-- Tables and columns get the words of the field. No row changes but for its place.

ALTER TABLE registrations_underway RENAME TO pending_registrations;
DROP INDEX registrations_underway_by_due;
CREATE INDEX pending_registrations_by_due ON pending_registrations (due);

ALTER TABLE hub_errands RENAME TO remote_tasks;
DROP INDEX hub_errands_by_due;
CREATE INDEX remote_tasks_by_due ON remote_tasks (due);

ALTER TABLE certificate_authorities RENAME TO ca_certificates;
DROP INDEX certificate_authorities_by_thumbprint;
CREATE UNIQUE INDEX ca_certificates_by_thumbprint
    ON ca_certificates (id_scope, thumbprint) WHERE standing <> 'withdrawn';

ALTER TABLE enrollment_authorities RENAME TO enrollment_ca_certificates;
ALTER TABLE enrollment_ca_certificates RENAME COLUMN authority TO ca_certificate;
DROP INDEX enrollment_authorities_by_authority;
CREATE INDEX enrollment_ca_certificates_by_ca_certificate ON enrollment_ca_certificates (ca_certificate);

ALTER TABLE audit_segments RENAME COLUMN book TO stream;

-- Issuers and trust bundles are two nouns, and an enrollment names one of each at most: columns instead of a table between.
CREATE TABLE issuers (
    id         INTEGER PRIMARY KEY,
    id_scope   TEXT NOT NULL REFERENCES services (id_scope),
    folded     TEXT NOT NULL,
    spelled    TEXT NOT NULL,
    thumbprint BLOB NOT NULL,
    document   TEXT NOT NULL,
    etag       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    updated    INTEGER NOT NULL,
    UNIQUE (id_scope, folded)
);
INSERT INTO issuers (id, id_scope, folded, spelled, thumbprint, document, etag, created, updated)
SELECT id, id_scope, folded, spelled, coalesce(thumbprint, x''), document, etag, created, updated
FROM device_resources WHERE kind = 'issuer';

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
INSERT INTO trust_bundles (id, id_scope, folded, spelled, document, etag, created, updated)
SELECT id, id_scope, folded, spelled, document, etag, created, updated
FROM device_resources WHERE kind = 'trustBundle';

ALTER TABLE enrollments ADD COLUMN issuer INTEGER REFERENCES issuers (id);
ALTER TABLE enrollments ADD COLUMN trust_bundle INTEGER REFERENCES trust_bundles (id);
UPDATE enrollments SET
    issuer = (SELECT r.resource FROM enrollment_resources AS r JOIN issuers AS i ON i.id = r.resource
              WHERE r.enrollment = enrollments.id),
    trust_bundle = (SELECT r.resource FROM enrollment_resources AS r JOIN trust_bundles AS b ON b.id = r.resource
                    WHERE r.enrollment = enrollments.id)
WHERE id IN (SELECT enrollment FROM enrollment_resources);
CREATE INDEX enrollments_by_issuer ON enrollments (issuer) WHERE issuer IS NOT NULL;
CREATE INDEX enrollments_by_trust_bundle ON enrollments (trust_bundle) WHERE trust_bundle IS NOT NULL;
DROP TABLE enrollment_resources;
DROP TABLE device_resources;

-- Numbers within a service are unique. Where an earlier version gave one twice, the service's rows are numbered anew in their order.
DROP INDEX refusals_by_number;
UPDATE refusals SET number = n FROM
    (SELECT id AS row, row_number() OVER (PARTITION BY id_scope ORDER BY number, id) AS n FROM refusals)
WHERE id = row AND id_scope IN (SELECT id_scope FROM refusals GROUP BY id_scope, number HAVING count(*) > 1);
CREATE UNIQUE INDEX refusals_by_number ON refusals (id_scope, number);
DROP INDEX allocations_by_number;
UPDATE allocations SET number = n FROM
    (SELECT id AS row, row_number() OVER (PARTITION BY id_scope ORDER BY number, id) AS n FROM allocations)
WHERE id = row AND id_scope IN (SELECT id_scope FROM allocations GROUP BY id_scope, number HAVING count(*) > 1);
CREATE UNIQUE INDEX allocations_by_number ON allocations (id_scope, number);

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
