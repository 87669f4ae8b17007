-- A registration touched four places of four indexes, each a page of its own in the log. Now it touches two: the others are written where
-- the one before was written, or not at all.

-- In the order of registration, not of ids: a new entry goes to the end of its group.
DROP INDEX registrations_by_group;
CREATE INDEX registrations_by_group ON registrations (id_scope, group_folded) WHERE group_folded IS NOT NULL;

-- A device that is named after its registration is found by that name.
DROP INDEX registrations_by_device;
CREATE INDEX registrations_by_device ON registrations (hub, device_id) WHERE device_id <> spelled;
