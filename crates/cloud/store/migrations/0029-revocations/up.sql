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

-- Subscriptions to answers about certificates outlive their session as the others do.
ALTER TABLE kept_subscriptions ADD COLUMN credentials INTEGER CHECK (credentials IN (0, 1));
