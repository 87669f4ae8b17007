-- Device and module configurations are applied, as deployments are.

-- A configuration concerns a device, or a module of it.
ALTER TABLE configuration_targets RENAME TO configuration_targets_of_devices;
DROP INDEX configuration_targets_by_configuration;
CREATE TABLE configuration_targets (
    hub              TEXT NOT NULL,
    device_id        TEXT NOT NULL,
    module_id        TEXT NOT NULL,
    configuration_id TEXT NOT NULL,
    applied          INTEGER NOT NULL,
    UNIQUE (hub, device_id, module_id, configuration_id)
);
INSERT INTO configuration_targets (hub, device_id, module_id, configuration_id, applied)
SELECT hub, device_id, '', configuration_id, applied FROM configuration_targets_of_devices;
DROP TABLE configuration_targets_of_devices;
CREATE INDEX configuration_targets_by_configuration
    ON configuration_targets (hub, configuration_id, applied, device_id);

-- Which desired properties of a twin came from device and module configurations, as JSON.
CREATE TABLE configuration_settings (
    hub       TEXT NOT NULL,
    device_id TEXT NOT NULL,
    module_id TEXT NOT NULL,
    document  TEXT NOT NULL,
    UNIQUE (hub, device_id, module_id)
);

-- Whether the full pass looks at all devices, or at Edge devices only.
ALTER TABLE hubs ADD COLUMN targeting_all INTEGER NOT NULL DEFAULT 0;

-- What the custom metrics of a configuration counted last, as JSON.
ALTER TABLE configurations ADD COLUMN metric_results TEXT;

-- Earlier versions stored device and module configurations without applying them.
UPDATE hubs SET targeting_cursor = '', targeting_epoch = targeting_epoch + 1, targeting_all = 1
WHERE name IN (SELECT hub FROM configurations WHERE kind IN ('device', 'module'));
