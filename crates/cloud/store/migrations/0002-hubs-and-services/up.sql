-- Several provisioning services: each has a name, the host of its service API (NULL: the server's own) and the allocation policy of
-- enrollments that name none.
ALTER TABLE services ADD COLUMN name TEXT NOT NULL DEFAULT 'dps';
ALTER TABLE services ADD COLUMN host TEXT;
ALTER TABLE services ADD COLUMN allocation_policy TEXT NOT NULL DEFAULT 'hashed';
CREATE UNIQUE INDEX services_by_name ON services (name COLLATE NOCASE);

-- Several hubs. One that lives elsewhere is known by the policy and key that open its service API; both are NULL for one that lives here.
ALTER TABLE hubs ADD COLUMN remote_policy TEXT;
ALTER TABLE hubs ADD COLUMN remote_key TEXT;
CREATE UNIQUE INDEX hubs_by_name ON hubs (name COLLATE NOCASE);
