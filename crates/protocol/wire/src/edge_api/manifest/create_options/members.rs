//! The members of the engine's ContainerCreate: API 1.24 to 1.53, for Linux and Windows.

/// What a member is.
pub(super) enum Kind {
    Text,
    Whole,
    Truth,
    /// A text, or several.
    Words,
    List(&'static Kind),
    /// Keys are data and kept as they are.
    Map(&'static Kind),
    Members(Members),
}

pub(super) type Members = &'static [(&'static str, Kind)];

use Kind::{List, Map, Members as Object, Text, Truth, Whole, Words};

const TEXTS: Kind = List(&Text);
const TEXT_MAP: Kind = Map(&Text);
/// `{"80/tcp": {}}`: the keys are what counts.
const SET: Kind = Map(&Object(&[]));
const RATES: Kind = List(&Object(&[("Path", Text), ("Rate", Whole)]));

pub(super) const CONTAINER: Members = &[
    ("Hostname", Text),
    ("Domainname", Text),
    ("User", Text),
    ("AttachStdin", Truth),
    ("AttachStdout", Truth),
    ("AttachStderr", Truth),
    ("ExposedPorts", SET),
    ("Tty", Truth),
    ("OpenStdin", Truth),
    ("StdinOnce", Truth),
    ("Env", TEXTS),
    ("Cmd", Words),
    ("Healthcheck", Object(HEALTH)),
    ("ArgsEscaped", Truth),
    ("Image", Text),
    ("Volumes", SET),
    ("WorkingDir", Text),
    ("Entrypoint", Words),
    ("NetworkDisabled", Truth),
    ("MacAddress", Text),
    ("OnBuild", TEXTS),
    ("Labels", TEXT_MAP),
    ("StopSignal", Text),
    ("StopTimeout", Whole),
    ("Shell", Words),
    ("HostConfig", Object(HOST)),
    ("NetworkingConfig", Object(NETWORKING)),
];

const HEALTH: Members = &[
    ("Test", TEXTS),
    ("Interval", Whole),
    ("Timeout", Whole),
    ("Retries", Whole),
    ("StartPeriod", Whole),
    ("StartInterval", Whole),
];

const HOST: Members = &[
    ("CpuShares", Whole),
    ("Memory", Whole),
    ("CgroupParent", Text),
    ("BlkioWeight", Whole),
    (
        "BlkioWeightDevice",
        List(&Object(&[("Path", Text), ("Weight", Whole)])),
    ),
    ("BlkioDeviceReadBps", RATES),
    ("BlkioDeviceWriteBps", RATES),
    ("BlkioDeviceReadIOps", RATES),
    ("BlkioDeviceWriteIOps", RATES),
    ("CpuPeriod", Whole),
    ("CpuQuota", Whole),
    ("CpuRealtimePeriod", Whole),
    ("CpuRealtimeRuntime", Whole),
    ("CpusetCpus", Text),
    ("CpusetMems", Text),
    ("Devices", List(&Object(DEVICE))),
    ("DeviceCgroupRules", TEXTS),
    ("DeviceRequests", List(&Object(DEVICE_REQUEST))),
    ("KernelMemory", Whole),
    ("KernelMemoryTCP", Whole),
    ("MemoryReservation", Whole),
    ("MemorySwap", Whole),
    ("MemorySwappiness", Whole),
    ("NanoCpus", Whole),
    ("OomKillDisable", Truth),
    ("Init", Truth),
    ("PidsLimit", Whole),
    (
        "Ulimits",
        List(&Object(&[("Name", Text), ("Soft", Whole), ("Hard", Whole)])),
    ),
    ("CpuCount", Whole),
    ("CpuPercent", Whole),
    ("IOMaximumIOps", Whole),
    ("IOMaximumBandwidth", Whole),
    ("Binds", TEXTS),
    ("ContainerIDFile", Text),
    ("LogConfig", Object(LOG_CONFIG)),
    ("NetworkMode", Text),
    (
        "PortBindings",
        Map(&List(&Object(&[("HostIp", Text), ("HostPort", Text)]))),
    ),
    (
        "RestartPolicy",
        Object(&[("Name", Text), ("MaximumRetryCount", Whole)]),
    ),
    ("AutoRemove", Truth),
    ("VolumeDriver", Text),
    ("VolumesFrom", TEXTS),
    ("Mounts", List(&Object(MOUNT))),
    ("ConsoleSize", List(&Whole)),
    ("Annotations", TEXT_MAP),
    ("CapAdd", Words),
    ("CapDrop", Words),
    ("Capabilities", TEXTS),
    ("CgroupnsMode", Text),
    ("Dns", TEXTS),
    ("DnsOptions", TEXTS),
    ("DnsSearch", TEXTS),
    ("ExtraHosts", TEXTS),
    ("GroupAdd", TEXTS),
    ("IpcMode", Text),
    ("Cgroup", Text),
    ("Links", TEXTS),
    ("OomScoreAdj", Whole),
    ("PidMode", Text),
    ("Privileged", Truth),
    ("PublishAllPorts", Truth),
    ("ReadonlyRootfs", Truth),
    ("SecurityOpt", TEXTS),
    ("StorageOpt", TEXT_MAP),
    ("Tmpfs", TEXT_MAP),
    ("UTSMode", Text),
    ("UsernsMode", Text),
    ("ShmSize", Whole),
    ("Sysctls", TEXT_MAP),
    ("Runtime", Text),
    ("Isolation", Text),
    ("MaskedPaths", TEXTS),
    ("ReadonlyPaths", TEXTS),
];

const DEVICE: Members = &[
    ("PathOnHost", Text),
    ("PathInContainer", Text),
    ("CgroupPermissions", Text),
];

const DEVICE_REQUEST: Members = &[
    ("Driver", Text),
    ("Count", Whole),
    ("DeviceIDs", TEXTS),
    ("Capabilities", List(&TEXTS)),
    ("Options", TEXT_MAP),
];

pub(super) const LOG_CONFIG: Members = &[("Type", Text), ("Config", TEXT_MAP)];

const MOUNT: Members = &[
    ("Target", Text),
    ("Source", Text),
    ("Type", Text),
    ("ReadOnly", Truth),
    ("Consistency", Text),
    (
        "BindOptions",
        Object(&[
            ("Propagation", Text),
            ("NonRecursive", Truth),
            ("CreateMountpoint", Truth),
            ("ReadOnlyNonRecursive", Truth),
            ("ReadOnlyForceRecursive", Truth),
        ]),
    ),
    (
        "VolumeOptions",
        Object(&[
            ("NoCopy", Truth),
            ("Labels", TEXT_MAP),
            (
                "DriverConfig",
                Object(&[("Name", Text), ("Options", TEXT_MAP)]),
            ),
            ("Subpath", Text),
        ]),
    ),
    ("ImageOptions", Object(&[("Subpath", Text)])),
    (
        "TmpfsOptions",
        Object(&[
            ("SizeBytes", Whole),
            ("Mode", Whole),
            ("Options", List(&TEXTS)),
        ]),
    ),
    ("ClusterOptions", Object(&[])),
];

const NETWORKING: Members = &[("EndpointsConfig", Map(&Object(ENDPOINT)))];

const ENDPOINT: Members = &[
    (
        "IPAMConfig",
        Object(&[
            ("IPv4Address", Text),
            ("IPv6Address", Text),
            ("LinkLocalIPs", TEXTS),
        ]),
    ),
    ("Links", TEXTS),
    ("MacAddress", Text),
    ("Aliases", TEXTS),
    ("DriverOpts", TEXT_MAP),
    ("GwPriority", Whole),
    ("NetworkID", Text),
    ("EndpointID", Text),
    ("Gateway", Text),
    ("IPAddress", Text),
    ("IPPrefixLen", Whole),
    ("IPv6Gateway", Text),
    ("GlobalIPv6Address", Text),
    ("GlobalIPv6PrefixLen", Whole),
    ("DNSNames", TEXTS),
];
