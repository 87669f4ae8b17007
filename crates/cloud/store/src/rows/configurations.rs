use ids::ConfigurationId;

/// A configuration of a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    pub configuration_id: ConfigurationId,
    pub revision: i64,
    pub priority: u32,
    pub kind: ContentKind,
    pub target_condition: String,
    /// Whether the condition looks at reported properties.
    pub reads_reported: bool,
    /// JSON: content, labels, metric queries.
    pub document: String,
    /// When it was created, 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}

/// What is read of a configuration that is to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigurationHead {
    pub revision: i64,
    /// `None` when it cannot be read.
    pub kind: Option<ContentKind>,
}

/// Tells whether a configuration has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigurationVersion {
    /// Row id.
    pub id: i64,
    pub revision: i64,
}

/// What a configuration's content is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind {
    /// `modulesContent` with whole sections: one of these is a device's base.
    Deployment,
    /// `modulesContent` without `properties.desired` of `$edgeAgent`: laid over a base.
    LayeredDeployment,
    /// `deviceContent`: sets desired properties of devices.
    Device,
    /// `moduleContent`: sets desired properties of modules.
    Module,
}

impl ContentKind {
    const ALL: [Self; 4] = [
        Self::Deployment,
        Self::LayeredDeployment,
        Self::Device,
        Self::Module,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::LayeredDeployment => "layeredDeployment",
            Self::Device => "device",
            Self::Module => "module",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
