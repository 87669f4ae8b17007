//! The one place of this program that reads the environment, beside clap's `env` arguments.

/// A variable that is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "this module is the program's view of its environment"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
