//! Queries with what they find.

use super::Found::{self, Ids, Rows};

const ALL: Found = Ids(&[
    "myDeviceId",
    "device1",
    "device2",
    "device3",
    "edge1",
    "edge2",
    "leaf1",
]);
const EDGE: Found = Ids(&["edge1", "edge2"]);

pub(super) const QUERIES: &[(&str, Found)] = &[
    // "Queries for IoT Hub device and module twins"
    ("SELECT * FROM devices", ALL),
    (
        "SELECT COUNT() as totalNumberOfDevices FROM devices",
        Rows(r#"[{"totalNumberOfDevices": 7}]"#),
    ),
    (
        "SELECT * FROM devices WHERE tags.location.region = 'US'",
        Ids(&["myDeviceId", "device1"]),
    ),
    (
        "SELECT * FROM devices
           WHERE tags.location.region = 'US'
             AND properties.reported.telemetryConfig.sendFrequencyInSecs >= 60",
        Ids(&["myDeviceId"]),
    ),
    (
        "SELECT * FROM devices WHERE properties.reported.connectivity IN ['wired', 'wifi']",
        Ids(&["device1", "device2"]),
    ),
    (
        "SELECT * FROM devices WHERE is_defined(properties.reported.connectivity)",
        Ids(&["myDeviceId", "device1", "device2"]),
    ),
    (
        "SELECT properties.reported.telemetryConfig.status AS status,
             COUNT() AS numberOfDevices
           FROM devices
           GROUP BY properties.reported.telemetryConfig.status",
        Rows(
            r#"[{"status": "Success", "numberOfDevices": 2},
                {"status": "Pending", "numberOfDevices": 1},
                {"status": "Error", "numberOfDevices": 1}, {"numberOfDevices": 3}]"#,
        ),
    ),
    (
        "SELECT DeviceId, LastActivityTime FROM devices
           WHERE status = 'enabled' AND connectionState = 'Disconnected'
             AND properties.reported.connectivity = 'wifi'",
        Rows(r#"[{"deviceId": "device1", "lastActivityTime": "2021-05-07T00:50:38.0543092Z"}]"#),
    ),
    (
        "SELECT * FROM devices.modules",
        Ids(&[
            "device1/scanner",
            "device2/scanner",
            "device3/scanner",
            "edge1/$edgeAgent",
            "edge1/$edgeHub",
            "edge2/$edgeAgent",
            "edge2/$edgeHub",
        ]),
    ),
    (
        "SELECT * FROM devices.modules WHERE properties.reported.status = 'scanning'",
        Ids(&["device1/scanner", "device2/scanner"]),
    ),
    (
        "SELECT * FROM devices.modules
           WHERE properties.reported.status = 'scanning' AND deviceId IN ['device1', 'device3']",
        Ids(&["device1/scanner"]),
    ),
    (
        "SELECT * FROM devices WHERE properties.desired.config = properties.reported.config",
        Ids(&["device1"]),
    ),
    // "Queries for IoT Hub jobs"
    (
        "SELECT * FROM devices.jobs",
        Ids(&["myDeviceId", "device2"]),
    ),
    (
        "SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = 'myDeviceId'",
        Ids(&["myDeviceId"]),
    ),
    (
        "SELECT * FROM devices.jobs
           WHERE devices.jobs.deviceId = 'myDeviceId'
             AND devices.jobs.jobType = 'scheduleDeviceMethod'
             AND devices.jobs.status = 'completed'
             AND devices.jobs.createdTimeUtc > '2016-09-01'",
        Ids(&["myDeviceId"]),
    ),
    (
        "SELECT * FROM devices.jobs WHERE devices.jobs.jobType = 'scheduleUpdateTwin'",
        Ids(&[]),
    ),
    (
        "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'myJobId'",
        Ids(&["myDeviceId", "device2"]),
    ),
    (
        "SELECT * FROM devices.jobs WHERE devices.jobs.status = 'running'
           AND NOT is_defined(devices.jobs.outcome)",
        Ids(&["device2"]),
    ),
    (
        "SELECT * FROM devices.jobs WHERE outcome.deviceMethodResponse.status = 200",
        Ids(&["myDeviceId"]),
    ),
    // "Get started with device twins"
    (
        "SELECT * FROM devices WHERE tags.location.plant = 'Redmond43'",
        Ids(&["myDeviceId", "device1"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.location.plant = 'Redmond43'
           AND properties.reported.connectivity.type = 'cellular'",
        Ids(&["myDeviceId"]),
    ),
    // "Automatic device and module management", "Monitor IoT Edge deployments"
    (
        "SELECT deviceId FROM devices
           WHERE properties.reported.chillerProperties.status='pending'",
        Ids(&["device3"]),
    ),
    (
        "SELECT deviceId FROM devices WHERE configurations.[[my-cfg]].status='Applied'",
        EDGE,
    ),
    (
        "select deviceId from devices where capabilities.iotEdge = true
           and tags.environment = 'prod'",
        Ids(&["edge1"]),
    ),
    (
        "select deviceId from devices.modules where moduleId = '$edgeAgent'
           and configurations.[[my-cfg]].status = 'Applied'",
        Ids(&["edge1", "edge2"]),
    ),
    (
        "select deviceId from devices.modules where moduleId = '$edgeAgent'
           and configurations.[[my-cfg]].status = 'Applied'
           and properties.desired.$version = properties.reported.lastDesiredVersion
           and properties.reported.lastDesiredStatus.code = 200",
        Ids(&["edge1"]),
    ),
    (
        "select deviceId from devices.modules where moduleId = '$edgeAgent'
           and configurations.[[my-cfg]].status = 'Applied'
           and properties.desired.$version = properties.reported.lastDesiredVersion
           and properties.reported.lastDesiredStatus.code != 200",
        Ids(&["edge2"]),
    ),
    (
        "SELECT deviceId FROM devices.modules WHERE moduleId = 'scanner'
           AND connectionState = 'Connected'",
        Ids(&["device3"]),
    ),
    // `az iot`, the portal, "IoT Plug and Play service developer guide"
    (
        "select * from devices where capabilities.iotEdge = true",
        EDGE,
    ),
    (
        "select * from devices where capabilities.iotEdge=true",
        EDGE,
    ),
    (
        "select top 2 * from devices where capabilities.iotEdge = true",
        EDGE,
    ),
    (
        "select * from devices.modules where devices.deviceId = 'edge1'",
        Ids(&["edge1/$edgeAgent", "edge1/$edgeHub"]),
    ),
    (
        "SELECT deviceId as id, capabilities.iotEdge as edge, status FROM devices
           WHERE STARTSWITH(deviceId, 'ed')",
        Rows(
            r#"[{"id": "edge1", "edge": true, "status": "enabled"},
                {"id": "edge2", "edge": true, "status": "enabled"}]"#,
        ),
    ),
    (
        "SELECT * FROM devices WHERE is_defined(deviceScope) AND capabilities.iotEdge = false",
        Ids(&["leaf1"]),
    ),
    (
        "SELECT deviceId FROM devices WHERE is_defined(parentScopes)
           AND is_array(parentScopes) AND NOT array_contains(parentScopes, 'nowhere')",
        Ids(&["edge2", "leaf1"]),
    ),
    (
        "SELECT * FROM devices WHERE modelId = 'dtmi:com:example:Thermostat;1'",
        Ids(&["device1"]),
    ),
    (
        "SELECT * FROM devices WHERE STARTS_WITH(modelId, 'dtmi:com:example:Thermostat')",
        Ids(&["device1"]),
    ),
    (
        "SELECT * FROM devices WHERE status = 'disabled'",
        Ids(&["device3"]),
    ),
    (
        "SELECT * FROM devices WHERE statusReason = 'stolen'",
        Ids(&["device3"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.[[group]].name = 'some_value'",
        Ids(&["device3"]),
    ),
    (
        "SELECT * FROM devices WHERE devices.deviceId = 'leaf1'",
        Ids(&["leaf1"]),
    ),
    (
        "SELECT * FROM Devices WHERE authenticationType = 'sas'",
        ALL,
    ),
    (
        "SELECT * FROM devices WHERE x509Thumbprint.primaryThumbprint = null
           AND cloudToDeviceMessageCount = 0 AND version > 0",
        ALL,
    ),
    (
        "SELECT * FROM devices WHERE etag != deviceEtag OR etag = deviceEtag",
        ALL,
    ),
    (
        "SELECT * FROM devices WHERE lastActivityTime > '2021-05-07'",
        Ids(&["device1"]),
    ),
    (
        "SELECT * FROM devices
           WHERE properties.reported.$metadata.config.$lastUpdated >= '2023-11-14'",
        Ids(&["device1", "device2"]),
    ),
    (
        "SELECT * FROM devices WHERE properties.desired.$version = 2 AND tags.floor > 3",
        Ids(&["device2"]),
    ),
    // The grammar: constants
    (
        "SELECT * FROM devices WHERE tags.floor = 0x3",
        Ids(&["device1"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.share = 0.5",
        Ids(&["device3"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.share = 5e-1",
        Ids(&["device3"]),
    ),
    (
        "SELECT * FROM devices WHERE deviceId = \"leaf1\"",
        Ids(&["leaf1"]),
    ),
    (
        r#"SELECT * FROM devices WHERE tags.note = 'O\'Neil said "no"'"#,
        Ids(&["device3"]),
    ),
    (
        r#"SELECT * FROM devices WHERE tags.note = "O'Neil said \"no\"""#,
        Ids(&["device3"]),
    ),
    (
        r"SELECT * FROM devices WHERE tags.path = 'C:\\x'",
        Ids(&["device3"]),
    ),
    (
        r"SELECT * FROM devices WHERE tags.location.region = '\u0055S'",
        Ids(&["myDeviceId", "device1"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor = undefined",
        Ids(&[]),
    ),
    ("SELECT * FROM devices WHERE tags.floor = null", Ids(&[])),
    ("SELECT * FROM devices WHERE tags.my-key", Ids(&["device3"])),
    ("SELECT * FROM devices WHERE true", ALL),
    ("SELECT * FROM devices WHERE null", Ids(&[])),
    // The grammar: operators
    (
        "SELECT * FROM devices WHERE tags.floor + 1 = 4",
        Ids(&["device1"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor - 1 = 2",
        Ids(&["device1"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor * 2 = 8",
        Ids(&["device2"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor / 2 = 2",
        Ids(&["device2"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor % 2 = 0",
        Ids(&["device2"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor != 3",
        Ids(&["device2"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor <> 3",
        Ids(&["device2"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor < 4",
        Ids(&["device1"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor <= 3",
        Ids(&["device1"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor > 3",
        Ids(&["device2"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor >= 3",
        Ids(&["device1", "device2"]),
    ),
    (
        "SELECT * FROM devices WHERE NOT (tags.floor = 3 OR tags.floor = 5)",
        Ids(&["device2"]),
    ),
    (
        "SELECT * FROM devices WHERE tags.floor NIN [3, 5]",
        Ids(&["device2"]),
    ),
    // The grammar: TOP, aggregates, GROUP BY
    (
        "SELECT TOP 1 * FROM devices WHERE tags.floor = 3",
        Ids(&["device1"]),
    ),
    (
        "SELECT AVG(tags.floor) AS avg, SUM(tags.floor) AS sum, MIN(tags.floor) AS least,
             MAX(tags.floor) AS most, COUNT() AS count FROM devices WHERE is_defined(tags.floor)",
        Rows(r#"[{"avg": 3.5, "sum": 7, "least": 3, "most": 4, "count": 2}]"#),
    ),
    (
        "SELECT tags.location.region AS region, MAX(tags.floor) AS top FROM devices
           WHERE is_defined(tags.location) GROUP BY tags.location.region",
        Rows(r#"[{"region": "US", "top": 3}, {"region": "EU", "top": 4}]"#),
    ),
    (
        "SELECT properties.reported.status AS status, COUNT() AS count FROM devices.modules
           WHERE moduleId = 'scanner' GROUP BY properties.reported.status",
        Rows(r#"[{"status": "scanning", "count": 2}, {"status": "idle", "count": 1}]"#),
    ),
    // Functions, which the documents name for routes and others use on twins
    (
        "SELECT * FROM devices WHERE ABS(-tags.floor) = 3 AND POWER(tags.floor, 2) = 9
           AND SQUARE(tags.floor) = 9 AND SQRT(9) = tags.floor AND SIGN(tags.floor) = 1
           AND CEILING(2.5) = tags.floor AND FLOOR(3.5) = tags.floor AND EXP(0) = 1
           AND AS_NUMBER('3') = tags.floor",
        Ids(&["device1"]),
    ),
    (
        "SELECT * FROM devices WHERE IS_ARRAY(tags.roles) AND IS_BOOL(tags.my-key)
           AND IS_OBJECT(tags.group) AND IS_NUMBER(tags.share) AND IS_STRING(tags.note)
           AND IS_PRIMITIVE(tags.path) AND NOT IS_DEFINED(tags.none) AND NOT IS_NULL(tags.note)",
        Ids(&["device3"]),
    ),
    (
        "SELECT * FROM devices WHERE CONCAT(tags.location.region, '-', 'x') = 'EU-x'
           AND LENGTH(tags.location.plant) = 6 AND LOWER(tags.location.plant) = 'munich'
           AND UPPER(tags.location.plant) = 'MUNICH' AND SUBSTRING(tags.location.plant, 3) = 'ich'
           AND INDEX_OF(tags.location.plant, 'n') = 2 AND ENDS_WITH(tags.location.plant, 'ch')
           AND CONTAINS(tags.location.plant, 'uni')",
        Ids(&["device2"]),
    ),
    (
        "SELECT * FROM devices WHERE ARRAY_CONTAINS(tags.roles, 'light')
           AND tags.roles[0] = 'lock'",
        Ids(&["device3"]),
    ),
];
