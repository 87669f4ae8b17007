-- How many devices and modules hubs have: counting the rows would read all of them. Changed at the end of
-- each transaction that inserts, deletes, moves, enables or disables some.
CREATE TABLE identity_counts (
    hub     TEXT NOT NULL PRIMARY KEY,
    devices INTEGER NOT NULL,
    -- Devices that may connect.
    enabled INTEGER NOT NULL,
    modules INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO identity_counts (hub, devices, enabled, modules)
SELECT hub, count(*) FILTER (WHERE module_id = ''), count(*) FILTER (WHERE module_id = '' AND enabled),
       count(*) FILTER (WHERE module_id > '')
FROM identities GROUP BY hub;
