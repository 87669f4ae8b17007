//! `--properties` of messages: `key=value;key2=value2`, as a batch carries them.

use crate::service_client::CommandError;

/// The short names of system properties and their names in a batch.
const SYSTEM: [(&str, &str); 5] = [
    ("$.mid", "iothub-messageid"),
    ("$.cid", "iothub-correlationid"),
    ("$.uid", "iothub-userid"),
    ("$.ct", "iothub-contenttype"),
    ("$.ce", "iothub-contentencoding"),
];

/// The properties of a message: those of other flags, then those of `--properties`. What begins
/// with `$.` is a system property. None is given twice.
pub fn join(
    mut properties: Vec<(String, String)>,
    text: Option<&str>,
) -> Result<Vec<(String, String)>, CommandError> {
    let pairs = text.unwrap_or_default().split(';');
    for pair in pairs.filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = property(pair)?;
        if properties.iter().any(|(known, _)| *known == name) {
            let problem = format!("--properties: {pair:?} gives a property that is given already");
            return Err(CommandError::Usage(problem));
        }
        properties.push((name, value));
    }
    Ok(properties)
}

fn property(pair: &str) -> Result<(String, String), CommandError> {
    let usage = |why: &str| CommandError::Usage(format!("--properties: {pair:?} {why}"));
    let (name, value) = pair
        .split_once('=')
        .ok_or_else(|| usage("is not key=value"))?;
    let (name, value) = (name.trim(), value.trim());
    let name = match SYSTEM.iter().find(|(short, _)| name == *short) {
        Some((_, long)) => (*long).to_owned(),
        None if name.starts_with("$.") => {
            let known: Vec<&str> = SYSTEM.iter().map(|(short, _)| *short).collect();
            let why = format!("names no system property; they are {}", known.join(", "));
            return Err(usage(&why));
        }
        None => format!("iothub-app-{name}"),
    };
    Ok((name, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_of_the_system_or_the_application() {
        let read = |text| join(Vec::new(), Some(text)).map_err(|error| error.to_string());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read("$.ct=text/plain; Room = 7;empty=;"),
            Ok(vec![
                pair("iothub-contenttype", "text/plain"),
                pair("iothub-app-Room", "7"),
                pair("iothub-app-empty", ""),
            ])
        );
        assert_eq!(read(""), Ok(Vec::new()));
        assert!(read("$.x=1").unwrap_err().contains("$.mid"));
        assert!(read("key").unwrap_err().contains("key=value"));
        assert!(read("a=1;a=2").is_err());
        let of_flags = vec![pair("iothub-messageid", "m1")];
        assert!(join(of_flags, Some("$.mid=m2")).is_err());
    }
}
