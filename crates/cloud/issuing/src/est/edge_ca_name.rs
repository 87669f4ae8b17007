//! The names that certificates of edge CAs have, and the devices that they are of.

use ids::RegistrationId;

/// What Azure's daemon puts before the device id.
const PREFIX: &str = "aziot-edge CA ";
/// What scripts that make certificates for trying out put after it.
const SUFFIX: &str = ".ca";

/// What follows the prefix of Azure's daemon, in any letter case.
pub(super) fn without_prefix(name: &str) -> Option<&str> {
    let (start, rest) = name.split_at_checked(PREFIX.len())?;
    start.eq_ignore_ascii_case(PREFIX).then_some(rest)
}

fn without_suffix(name: &str) -> Option<&str> {
    let at = name.len().checked_sub(SUFFIX.len())?;
    let (rest, end) = name.split_at_checked(at)?;
    end.eq_ignore_ascii_case(SUFFIX).then_some(rest)
}

/// The devices that an edge CA of this name can be of.
pub(super) fn devices(name: &str) -> Vec<RegistrationId> {
    let name = without_prefix(name).unwrap_or(name).trim();
    let names = [Some(name), without_suffix(name)].into_iter().flatten();
    names
        .filter_map(|name| RegistrationId::parse(name).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_each_name_of_its_ca() {
        for (name, found) in [
            ("press-7", &["press-7"][..]),
            ("aziot-edge CA press-7", &["press-7"]),
            ("Aziot-Edge ca  press-7 ", &["press-7"]),
            ("press-7.CA", &["press-7.CA", "press-7"]),
            ("aziot-edge CA press-7.ca", &["press-7.ca", "press-7"]),
            ("another CA press-7", &[]),
            ("aziot-edge CA ", &[]),
            ("", &[]),
        ] {
            let devices = devices(name);
            let devices: Vec<&str> = devices.iter().map(RegistrationId::as_str).collect();
            assert_eq!(devices, found, "{name}");
        }
    }
}
