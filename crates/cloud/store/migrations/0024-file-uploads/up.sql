-- Files that devices may upload: from the request for a token to the notification that ends it.
CREATE TABLE file_uploads (
    correlation_id TEXT PRIMARY KEY,
    identity       INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    blob_name      TEXT NOT NULL,
    -- Base64 of the key that signs the token for the blob.
    signing_key    TEXT NOT NULL,
    expires        INTEGER NOT NULL,
    -- What the device wrote last; NULL until its first file is complete.
    bytes          INTEGER,
    modified       INTEGER
);
CREATE INDEX file_uploads_by_identity ON file_uploads (identity);
CREATE INDEX file_uploads_by_expiry ON file_uploads (expires);
