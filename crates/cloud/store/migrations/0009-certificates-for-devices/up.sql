-- What enrollments name for their devices: issuers of certificates, and trust bundles. The keys of issuers are not in here.
CREATE TABLE device_resources (
    id         INTEGER PRIMARY KEY,
    id_scope   TEXT NOT NULL REFERENCES services (id_scope),
    kind       TEXT NOT NULL CHECK (kind IN ('issuer', 'trustBundle')),
    folded     TEXT NOT NULL,
    spelled    TEXT NOT NULL,
    -- SHA-256 of an issuer's certificate: by it its key is found.
    thumbprint BLOB,
    -- JSON.
    document   TEXT NOT NULL,
    etag       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    updated    INTEGER NOT NULL,
    UNIQUE (id_scope, kind, folded)
);

-- What is named by an enrollment cannot be deleted.
CREATE TABLE enrollment_resources (
    enrollment INTEGER NOT NULL REFERENCES enrollments (id) ON DELETE CASCADE,
    resource   INTEGER NOT NULL REFERENCES device_resources (id),
    UNIQUE (enrollment, resource)
);
CREATE INDEX enrollment_resources_by_resource ON enrollment_resources (resource);
