/// What `iotedge config template` prints: every line that is commented with a single `#` and no space can be uncommented.
pub const TEMPLATE: &str = include_str!("template.toml");
