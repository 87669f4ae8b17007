//! What `iotedge config template` prints: every setting, in blocks that can be uncommented.

use super::Config;

/// With the forms that are not offered yet.
const TEMPLATE: &str = include_str!("template.toml");
/// Provisioning for the blocks that have none.
const PROVISIONING: &str = "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://d\"\n\
    id_scope = \"0\"\nattestation = { method = \"x509\", identity_cert = \"file:///c\", \
    identity_pk = \"file:///k\" }\n";

/// The template. Settings that `config apply` would refuse, because their form has no behaviour
/// yet, are left out.
#[must_use]
pub fn template() -> String {
    let (head, blocks) = blocks();
    let mut text = head.to_owned();
    for block in blocks {
        let refused = |line: &&str| {
            is_setting(line)
                && !block.variants().iter().any(|variant| {
                    variant.lines.contains(line) && Config::parse(&variant.text).is_ok()
                })
        };
        let kept: Vec<&str> = block
            .lines
            .iter()
            .filter(|line| !refused(line))
            .copied()
            .collect();
        if kept.iter().any(|line| is_setting(line)) {
            text.extend(kept.iter().flat_map(|line| [*line, "\n"]));
        } else {
            // A heading of several blocks stands at the end of the one before.
            let heading = block
                .lines
                .iter()
                .skip_while(|line| !line.starts_with("# ==="));
            text.extend(heading.flat_map(|line| [*line, "\n"]));
        }
    }
    text
}

/// A title with `##`, and all lines up to the next one.
struct Block {
    lines: Vec<&'static str>,
}

/// A choice of a block's settings: one line a key.
struct Variant {
    lines: Vec<&'static str>,
    /// A whole configuration.
    text: String,
}

fn blocks() -> (&'static str, Vec<Block>) {
    let first = TEMPLATE.find("## ").unwrap_or(TEMPLATE.len());
    let (head, rest) = TEMPLATE.split_at(first);
    let mut blocks: Vec<Block> = Vec::new();
    for line in rest.lines() {
        if line.starts_with("## ") {
            blocks.push(Block { lines: Vec::new() });
        }
        if let Some(block) = blocks.last_mut() {
            block.lines.push(line);
        }
    }
    (head, blocks)
}

/// A setting begins with `#` and no space.
fn is_setting(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[' || c == '"')
    })
}

impl Block {
    /// So many that each line is in one of them.
    fn variants(&self) -> Vec<Variant> {
        let settings: Vec<&'static str> = self
            .lines
            .iter()
            .filter(|line| is_setting(line))
            .copied()
            .collect();
        let key = |line: &'static str| line.split('=').next().unwrap_or_default();
        // Lines with the same key stand side by side.
        let groups: Vec<&[&'static str]> = settings
            .chunk_by(|one, next| !one.starts_with("#[") && key(one) == key(next))
            .collect();
        let most = groups.iter().map(|group| group.len()).max().unwrap_or(0);
        (0..most)
            .map(|choice| {
                let lines = groups
                    .iter()
                    .filter_map(|group| group.get(choice).or(group.last()).copied());
                Variant::new(lines.collect())
            })
            .collect()
    }
}

impl Variant {
    fn new(lines: Vec<&'static str>) -> Self {
        let settings: String = lines
            .iter()
            .flat_map(|line| [line.strip_prefix('#').unwrap_or_default(), "\n"])
            .collect();
        let text = if settings.contains("[provisioning]") {
            settings
        } else if settings.starts_with('[') {
            format!("{PROVISIONING}{settings}")
        } else {
            format!("{settings}{PROVISIONING}")
        };
        Self { lines, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;

    #[test]
    fn every_line_of_the_template_can_be_uncommented() {
        let (_, blocks) = blocks();
        assert!(blocks.len() > 20, "{}", blocks.len());
        for block in &blocks {
            let variants = block.variants();
            for variant in &variants {
                let read = Config::parse_all_forms(&variant.text);
                let (_, faults) = read.unwrap_or_else(|faults| {
                    panic!("{}: {faults:#?}\n{}", block.lines[0], variant.text)
                });
                let silent = faults.iter().all(|fault| fault.severity == Severity::Note);
                assert!(silent, "{}: {faults:#?}", block.lines[0]);
            }
            for line in block.lines.iter().filter(|line| is_setting(line)) {
                assert!(
                    variants.iter().any(|variant| variant.lines.contains(line)),
                    "{line}"
                );
            }
        }
    }

    /// A line that would be refused is not printed, and no block is without settings.
    #[test]
    fn what_is_printed_is_accepted() {
        let text = template();
        assert!(
            text.contains("\n#identity_cert = \"file:///") && text.contains("\n#[moby_runtime]")
        );
        for title in text.split("\n## ").skip(1) {
            assert!(title.lines().any(is_setting), "{title}");
        }
        let (_, blocks) = blocks();
        for block in blocks {
            for variant in block.variants() {
                if Config::parse(&variant.text).is_ok() {
                    for line in variant.lines {
                        assert!(text.contains(line), "{line}");
                    }
                }
            }
        }
    }
}
