use serde_json::Value;

/// Registrations that waited when the program was killed, and devices with work left at a remote
/// hub: they go on at once.
const UNFINISHED: [&str; 4] = ["waits-asked-1", "waits-abroad-1", "abroad-2", "abroad-3"];

/// What `before` says and `now` does not. Members that were added are allowed, and empty ones of
/// twins that are left out now.
pub fn lost_members(path: &str, before: &Value, now: &Value, skipped: &[&str]) -> Vec<String> {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            let compared = before
                .iter()
                .filter(|(name, _)| !skipped.contains(&name.as_str()));
            let each = compared.flat_map(|(name, value)| {
                let same = now.get(name).unwrap_or(&Value::Null);
                lost_members(&format!("{path}/{name}"), value, same, skipped)
            });
            each.collect()
        }
        (Value::Array(before), Value::Array(now)) => {
            let (before, now) = (finished(before), finished(now));
            if before.len() != now.len() {
                return vec![format!("{path}: {} are {} now", before.len(), now.len())];
            }
            let pairs = before.into_iter().zip(now).enumerate();
            let each = pairs.flat_map(|(place, (before, now))| {
                lost_members(&format!("{path}/{place}"), before, now, skipped)
            });
            each.collect()
        }
        (Value::Object(before), Value::Null) if before.is_empty() => Vec::new(),
        (Value::Array(before), Value::Null) if before.is_empty() => Vec::new(),
        _ if before == now => Vec::new(),
        _ => vec![format!("{path}: {before} is {now} now")],
    }
}

fn finished(list: &[Value]) -> Vec<&Value> {
    let id = |entry: &Value| entry["registrationId"].as_str().map(str::to_owned);
    let is_open = |entry: &&Value| id(entry).is_none_or(|id| !UNFINISHED.contains(&id.as_str()));
    list.iter().filter(is_open).collect()
}
