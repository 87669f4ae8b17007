//! The environment of a module.

use anyhow::Context;
use device::Workload;
use ids::{DeviceId, GenerationId, HubHost, ModuleId};

/// What the edge agent puts into the environment of a module.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// The hub that owns the module.
    pub(crate) hub: HubHost,
    /// The host to connect to, if not the hub itself.
    pub(crate) gateway: Option<HubHost>,
    pub(crate) device: DeviceId,
    pub(crate) module: ModuleId,
    /// The socket that signs for the module.
    pub(crate) workload: Workload,
}

impl Environment {
    /// Reads the variables that `lookup` finds. An empty one counts as missing.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let optional = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let required = |name: &str| {
            optional(name).with_context(|| {
                format!(
                    "the environment has no {name}; this program runs as a module of an IoT \
                    Edge device"
                )
            })
        };
        let gateway = optional("IOTEDGE_GATEWAYHOSTNAME")
            .map(|host| HubHost::parse(&host).context("IOTEDGE_GATEWAYHOSTNAME is wrong"));
        let module =
            ModuleId::parse(&required("IOTEDGE_MODULEID")?).context("IOTEDGE_MODULEID is wrong")?;
        let generation = GenerationId::parse(&required("IOTEDGE_MODULEGENERATIONID")?)
            .context("IOTEDGE_MODULEGENERATIONID is wrong")?;
        let workload = Workload::new(
            &required("IOTEDGE_WORKLOADURI")?,
            &required("IOTEDGE_APIVERSION")?,
            module.clone(),
            generation,
        );
        Ok(Self {
            hub: HubHost::parse(&required("IOTEDGE_IOTHUBHOSTNAME")?)
                .context("IOTEDGE_IOTHUBHOSTNAME is wrong")?,
            gateway: gateway.transpose()?,
            device: DeviceId::parse(&required("IOTEDGE_DEVICEID")?)
                .context("IOTEDGE_DEVICEID is wrong")?,
            module,
            workload: workload.context("IOTEDGE_WORKLOADURI is wrong")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        let value = match name {
            "IOTEDGE_IOTHUBHOSTNAME" => "hub.example:8443",
            "IOTEDGE_GATEWAYHOSTNAME" => "",
            "IOTEDGE_DEVICEID" => "edge-001",
            "IOTEDGE_MODULEID" => "tempSensor",
            "IOTEDGE_MODULEGENERATIONID" => "638001",
            "IOTEDGE_WORKLOADURI" => "unix:///var/run/iotedge/workload.sock",
            "IOTEDGE_APIVERSION" => "2022-08-03",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn the_agents_environment_is_read() {
        let environment = Environment::read(variables).unwrap();
        assert_eq!(environment.hub.port(), Some(8443));
        assert_eq!(
            environment.gateway, None,
            "an empty gateway counts as absent"
        );
        assert_eq!(environment.module.as_str(), "tempSensor");
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in [
            "IOTEDGE_IOTHUBHOSTNAME",
            "IOTEDGE_DEVICEID",
            "IOTEDGE_WORKLOADURI",
        ] {
            let error =
                Environment::read(|asked| variables(asked).filter(|_| asked != name)).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let error = Environment::read(|asked| match asked {
            "IOTEDGE_WORKLOADURI" => Some("http://localhost".into()),
            _ => variables(asked),
        });
        assert!(format!("{:#}", error.unwrap_err()).contains("unix:///"));
    }
}
