-- Users of issuers, and the certificates that issuers have issued.
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
INSERT INTO certificate_takeover (next, until)
    SELECT 0, max(last) FROM audit_segments WHERE stream = 'decisions'
    HAVING max(last) IS NOT NULL;
