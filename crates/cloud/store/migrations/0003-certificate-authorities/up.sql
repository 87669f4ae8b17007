-- CA certificates that operators uploaded to a service; enrollments refer to them by name.
CREATE TABLE certificate_authorities (
    id           INTEGER PRIMARY KEY,
    id_scope     TEXT NOT NULL REFERENCES services (id_scope),
    folded       TEXT NOT NULL,
    spelled      TEXT NOT NULL,
    thumbprint   BLOB NOT NULL,
    -- The subject in DER: by it a chain is continued that ends before this certificate.
    subject      BLOB NOT NULL,
    der          BLOB NOT NULL,
    -- 'withdrawn' is what is left of a deleted one while enrollments refer to it: their devices are refused for that reason.
    standing     TEXT NOT NULL CHECK (standing IN ('unverified', 'verified', 'withdrawn')),
    -- The common name that a certificate must have to prove possession of the key, and until when it counts.
    code         TEXT,
    code_expires INTEGER,
    etag         TEXT NOT NULL,
    created      INTEGER NOT NULL,
    updated      INTEGER NOT NULL,
    UNIQUE (id_scope, folded)
);
CREATE UNIQUE INDEX certificate_authorities_by_thumbprint
    ON certificate_authorities (id_scope, thumbprint) WHERE standing <> 'withdrawn';

-- Which authorities an enrollment refers to.
CREATE TABLE enrollment_authorities (
    enrollment INTEGER NOT NULL REFERENCES enrollments (id) ON DELETE CASCADE,
    slot       TEXT NOT NULL CHECK (slot IN ('primary', 'secondary')),
    authority  INTEGER NOT NULL REFERENCES certificate_authorities (id),
    UNIQUE (enrollment, slot)
);
CREATE INDEX enrollment_authorities_by_authority ON enrollment_authorities (authority);

-- The subject in DER of a group's certificate; NULL for leaves; empty for groups written before there was this column.
ALTER TABLE enrollment_certificates ADD COLUMN subject BLOB;
UPDATE enrollment_certificates SET subject = x'' WHERE enrollment IN (SELECT id FROM enrollments WHERE kind = 'group');
CREATE INDEX enrollment_certificates_by_subject ON enrollment_certificates (id_scope, subject) WHERE subject IS NOT NULL;
