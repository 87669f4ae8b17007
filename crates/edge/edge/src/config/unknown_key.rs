//! Advice about a key that does not belong where it is.

/// Keys that people often put under the wrong table, and the table
/// where they belong (Azure/iotedge#7422).
const PLACES: &[(&str, &str)] = &[
    ("hostname", ""),
    ("trust_bundle_cert", ""),
    ("auto_reprovisioning_mode", ""),
    ("cloud_timeout_sec", ""),
    ("cloud_retries", ""),
    ("allow_elevated_docker_permissions", ""),
    ("source", "provisioning"),
    ("global_endpoint", "provisioning"),
    ("id_scope", "provisioning"),
    ("payload", "provisioning"),
    ("method", "provisioning.attestation"),
    ("registration_id", "provisioning.attestation"),
    ("identity_cert", "provisioning.attestation"),
    ("identity_pk", "provisioning.attestation"),
    ("uri", "moby_runtime"),
    ("network", "moby_runtime"),
];

/// Keys of Azure IoT Edge 1.1 and of the first releases of 1.2.
const REPLACED: &[&str] = &["always_reprovision_on_startup", "dynamic_reprovisioning"];
const BY_THE_MODE: &str = " any more; auto_reprovisioning_mode took its place, \
    at the top of the file, before the first [section]: \
    \"Dynamic\" is what dynamic_reprovisioning = true was, \
    \"AlwaysOnStartup\" is what always_reprovision_on_startup = true was, \
    \"OnErrorOnly\" is what both were as false";

/// Continues the sentence "… is not a known key".
pub(super) fn advice(key: &str, path: &str, known: &[&str]) -> String {
    if REPLACED.contains(&key) {
        return BY_THE_MODE.to_owned();
    }
    if let Some((_, section)) = PLACES
        .iter()
        .find(|(name, section)| *name == key && *section != path)
    {
        return match *section {
            "" => " here; it belongs at the top of the file, before the first [section]".to_owned(),
            section => format!(" here; it belongs under [{section}]"),
        };
    }
    let nearest = known.iter().map(|name| (distance(key, name), *name)).min();
    match nearest {
        Some((steps, name)) if steps <= (name.len() / 3).max(1) => {
            format!("; did you mean {name}?")
        }
        _ => "; remove it, or correct its spelling (see: iotedge config template)".to_owned(),
    }
}

/// The number of letters that have to be changed, added or removed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("id_scop", "id_scope"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn advice_is_particular() {
        assert!(
            advice("id_scop", "provisioning", &["source", "id_scope"])
                .contains("did you mean id_scope?")
        );
        assert!(
            advice(
                "auto_reprovisioning_mode",
                "provisioning.attestation",
                &["method"]
            )
            .contains("top of the file")
        );
        assert!(advice("zzz", "", &["hostname"]).contains("remove it"));
    }
}
