//! Which resource a request names. The same paths serve operators and devices; the caller decides what happens.

use axum::http::Method;
use ids::{ConfigurationId, DeviceId, IdError, ModuleId};
use wire::http::Path;

/// One resource of the hub's HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Devices,
    Device(DeviceId),
    Modules(DeviceId),
    Module(DeviceId, ModuleId),
    ApplyContent(DeviceId),
    Events(DeviceId, Option<ModuleId>),
    Query,
    Twin(DeviceId, Option<ModuleId>),
    Methods(DeviceId, Option<ModuleId>),
    Configurations,
    Configuration(ConfigurationId),
    TestQueries,
    DeviceStatistics,
    ServiceStatistics,
    /// Where a device asks for cloud-to-device messages.
    DeviceBound(DeviceId),
    /// One such message, by its lock.
    DeviceBoundLock(DeviceId),
    DeviceBoundAbandon(DeviceId),
    /// Where an operator purges them.
    Commands(DeviceId),
    /// What the original has here and this hub does not; of a device where devices may ask.
    NotOffered(&'static str, Option<DeviceId>),
    /// `/muster/v1/events`, our own.
    ReadEvents,
}

/// Why a path leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RouteError {
    NotFound,
    BadId(IdError),
}

impl From<IdError> for RouteError {
    fn from(error: IdError) -> Self {
        Self::BadId(error)
    }
}

impl Route {
    /// Finds the resource. Literal segments match in any letter case, ids are case-sensitive.
    pub(crate) fn find(method: &Method, path: &Path) -> Result<Self, RouteError> {
        let segments = path.segments();
        let folded: Vec<String> = segments
            .iter()
            .map(|segment| segment.to_ascii_lowercase())
            .collect();
        let folded: Vec<&str> = folded.iter().map(String::as_str).collect();
        let device = || DeviceId::parse(segments[1]);
        let module = || ModuleId::parse(segments[3]);
        Ok(match folded.as_slice() {
            ["devices"] if method == Method::POST => {
                Self::NotOffered("changes of many devices in one request", None)
            }
            ["devices"] => Self::Devices,
            // Only POST: a device may be called "query".
            ["devices", "query"] if method == Method::POST => Self::Query,
            ["devices", "keys", "regenerate"] => {
                Self::NotOffered("regenerated keys of several devices", None)
            }
            ["devices", _] => Self::Device(device()?),
            ["devices", _, "modules"] => Self::Modules(device()?),
            ["devices", _, "modules", _] => Self::Module(device()?, module()?),
            ["devices", _, "applyconfigurationcontent"] => Self::ApplyContent(device()?),
            ["devices", _, "messages", "events"] => Self::Events(device()?, None),
            ["devices", _, "modules", _, "messages", "events"] => {
                Self::Events(device()?, Some(module()?))
            }
            ["devices", _, "messages", "devicebound"] => Self::DeviceBound(device()?),
            ["devices", _, "messages", "devicebound", _] => Self::DeviceBoundLock(device()?),
            ["devices", _, "messages", "devicebound", _, "abandon"] => {
                Self::DeviceBoundAbandon(device()?)
            }
            ["devices", _, "commands"] => Self::Commands(device()?),
            ["devices", _, "files"]
            | ["devices", _, "files", "notifications"]
            | ["devices", _, "files", "notifications", _] => {
                Self::NotOffered("file uploads", Some(device()?))
            }
            ["messages", "servicebound", ..] => {
                Self::NotOffered("cloud-to-device messages and notifications", None)
            }
            ["jobs", ..] => Self::NotOffered("jobs", None),
            ["digitaltwins", ..] => Self::NotOffered("digital twins", None),
            ["twins", _] => Self::Twin(device()?, None),
            ["twins", _, "modules", _] => Self::Twin(device()?, Some(module()?)),
            ["twins", _, "methods"] => Self::Methods(device()?, None),
            ["twins", _, "modules", _, "methods"] => Self::Methods(device()?, Some(module()?)),
            ["configurations"] => Self::Configurations,
            ["configurations", "testqueries"] if method == Method::POST => Self::TestQueries,
            ["configurations", _] => Self::Configuration(ConfigurationId::parse(segments[1])?),
            ["statistics", "devices"] => Self::DeviceStatistics,
            ["statistics", "service"] => Self::ServiceStatistics,
            ["muster", "v1", "events"] => Self::ReadEvents,
            _ => return Err(RouteError::NotFound),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: Method, path: &str) -> Result<Route, RouteError> {
        Route::find(&method, &Path::parse(path).unwrap())
    }

    #[test]
    fn paths_match_in_any_case_and_ids_keep_theirs() {
        let device = DeviceId::parse("Edge-1").unwrap();
        let agent = ModuleId::edge_agent();
        let get = |path| find(Method::GET, path).unwrap();
        assert_eq!(get("/DEVICES/"), Route::Devices);
        assert_eq!(get("/devices/Edge-1"), Route::Device(device.clone()));
        for path in [
            "/devices/Edge-1/modules/$edgeAgent",
            "/Devices/Edge-1/Modules/%24edgeAgent/",
        ] {
            assert_eq!(get(path), Route::Module(device.clone(), agent.clone()));
        }
        assert_eq!(
            get("/twins/Edge-1/modules/$edgeAgent"),
            Route::Twin(device, Some(agent))
        );
    }

    #[test]
    fn a_device_may_be_called_query() {
        assert_eq!(find(Method::POST, "/devices/query"), Ok(Route::Query));
        assert_eq!(
            find(Method::GET, "/devices/query"),
            Ok(Route::Device(DeviceId::parse("query").unwrap()))
        );
    }

    #[test]
    fn other_paths_are_told_apart_from_bad_ids() {
        assert_eq!(find(Method::GET, "/nothing"), Err(RouteError::NotFound));
        assert!(matches!(
            find(Method::GET, "/devices/a%20b"),
            Err(RouteError::BadId(_))
        ));
    }

    /// R11, H9: what the original has is not "nothing at this path".
    #[test]
    fn what_is_not_offered_yet_is_known() {
        for path in [
            "/devices",
            "/jobs/v2/job-1",
            "/jobs/v2/query",
            "/jobs/create",
            "/jobs",
            "/digitaltwins/d",
            "/digitalTwins/d/components/c/commands/reboot",
            "/devices/d/files",
            "/devices/d/files/notifications/x",
            "/devices/keys/regenerate",
        ] {
            let found = find(Method::POST, path).unwrap();
            assert!(matches!(found, Route::NotOffered(..)), "{path}: {found:?}");
        }
        let device = DeviceId::parse("d").unwrap();
        assert_eq!(
            find(Method::GET, "/devices/d/messages/deviceBound"),
            Ok(Route::DeviceBound(device))
        );
    }
}
