//! TOML syntax, with explanations of frequent mistakes.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeTable;

use super::{Fault, characters};

pub(super) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Vec<Fault>> {
    let mut faults = repeated_tables(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() && faults.is_empty() {
        return Ok(table);
    }
    for error in errors {
        let line = error
            .span()
            .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        // A repeated table has its own fault, and so have the keys in it.
        if !faults.is_empty() && error.message().contains("duplicate key") {
            continue;
        }
        faults.push(Fault::error(line, explain(text, line, error.message())));
    }
    faults.sort_by_key(|fault| fault.line);
    Err(faults)
}

fn explain(text: &str, line: Option<usize>, message: &str) -> String {
    let content = line
        .and_then(|line| text.lines().nth(line - 1))
        .unwrap_or_default()
        .trim_ascii();
    if let Some((odd, straight)) = content.chars().find_map(characters::typographic_quote) {
        return format!(
            "{odd} is a typographic quote, as word processors write it; TOML wants the straight \
             one, {straight}"
        );
    }
    if let Some(odd) = content.chars().find_map(characters::unseen) {
        return format!("there is {odd} in this line; remove it, or type a space in its place");
    }
    let value = content.split_once('=').map(|(_, value)| value.trim());
    let bare_word = value.is_some_and(|v| {
        v.starts_with(|c: char| c.is_ascii_alphabetic()) && v != "true" && v != "false"
    });
    if bare_word {
        return format!(
            "texts need quotes in TOML, for example \"{}\"",
            value.unwrap_or_default()
        );
    }
    format!("this is not valid TOML: {message}")
}

/// Two `[provisioning]` blocks remain when a second block of the template is uncommented.
fn repeated_tables(text: &str) -> Vec<Fault> {
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(name) = header(line) else { continue };
        match first.get(&name) {
            Some(earlier) => faults.push(Fault::error(
                Some(index + 1),
                repeated(&name, *earlier, index + 1),
            )),
            None => {
                first.insert(name, index + 1);
            }
        }
    }
    faults
}

fn repeated(name: &str, earlier: usize, line: usize) -> String {
    let what = if name.starts_with("provisioning") {
        "a device has one way of provisioning: keep the block you want and comment the other one \
         out"
    } else {
        "merge both blocks into one"
    };
    format!("[{name}] appears twice, on line {earlier} and on line {line}; {what}")
}

fn header(line: &str) -> Option<String> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let name = line.strip_prefix('[')?.strip_suffix(']')?;
    let plain = !name.is_empty() && !name.contains(['[', ']', '"', '\'', ',', '=']);
    plain.then(|| name.split('.').map(str::trim).collect::<Vec<_>>().join("."))
}
