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

-- NULL when it was taken from the audit, without its DER.
ALTER TABLE issued_certificates ADD COLUMN log_index INTEGER;
