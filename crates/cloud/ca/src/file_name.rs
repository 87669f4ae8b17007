//! Names of devices as parts of file names.

/// With the longest prefix and suffix that files get, below the 255 bytes that file systems allow.
const MAX_BYTES: usize = 160;

/// Why a name is not one component of a path, or has files that another name's files collide with:
/// the end of a sentence that begins with the name.
pub(crate) fn problem_with(name: &str) -> Option<&'static str> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > MAX_BYTES {
        "it has more than 160 bytes"
    } else if name.contains(['/', '\\']) {
        "it has a slash or backslash and cannot be a file name"
    } else if name.starts_with('.') {
        "it begins with a dot, and its files would be hidden"
    } else if name.chars().any(char::is_control) {
        "it has control characters"
    } else if name.trim() != name {
        "it begins or ends with white space"
    } else if name.to_ascii_lowercase().ends_with("-full-chain") {
        "it ends with -full-chain, which the chain file of another name ends with"
    } else {
        return None;
    };
    Some(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_stay_in_their_folder_are_safe() {
        for good in ["edge-1", "a:b._-9", "gateway ca", "공장-1", "full-chain-1"] {
            assert_eq!(problem_with(good), None);
        }
        let long = "x".repeat(161);
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            ".ssh",
            "a\nb",
            "a\0",
            " a",
            "a ",
            "edge-Full-Chain",
            &long,
        ] {
            assert!(problem_with(bad).is_some(), "{bad:?}");
        }
    }
}
