-- Host names that hubs of this directory had. Devices were told them: the server's certificate goes on naming them, and who asks
-- there is told to register again instead of failing in the handshake.
CREATE TABLE former_hosts (
    -- In lower case, without a port.
    host  TEXT PRIMARY KEY,
    -- Which hub had it; NULL once that hub is deleted.
    hub   TEXT,
    -- When it was given up.
    until INTEGER NOT NULL
);
