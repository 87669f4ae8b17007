//! URIs of files, as Azure's tools read them: `file:///path`, with `%20` for a space.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// The path of a URI, or how to write one.
pub(super) fn path(uri: &str) -> Result<PathBuf, &'static str> {
    let rest = match uri.split_at_checked("file:".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file:") => rest,
        _ => return Err("is not a file URI; write file:///path"),
    };
    let path = match rest.strip_prefix("//") {
        Some(named) => named.strip_prefix("localhost").unwrap_or(named),
        None => rest,
    };
    if !path.starts_with('/') {
        return Err("needs three slashes and an absolute path, file:///path");
    }
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    if decoded.contains(&0) {
        return Err("has a zero in its path; write file:///path");
    }
    Ok(OsString::from_vec(decoded).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `%20` was taken as it stands, and the file was not found.
    #[test]
    fn uris_are_read_as_azures_tools_read_them() {
        for (uri, expected) in [
            ("file:///a/b.pem", Ok("/a/b.pem")),
            (
                "file:///my%20certs/caf%C3%A9.pem",
                Ok("/my certs/caf\u{e9}.pem"),
            ),
            ("file:///my certs/a.pem", Ok("/my certs/a.pem")),
            ("file:///100%", Ok("/100%")),
            ("FILE:///a", Ok("/a")),
            ("file:/a", Ok("/a")),
            ("file://localhost/a", Ok("/a")),
            ("file://a/b", Err("three slashes")),
            ("file:a", Err("three slashes")),
            ("file:///a%00b", Err("zero")),
            ("/a", Err("not a file URI")),
            ("https://a/b", Err("not a file URI")),
            ("", Err("not a file URI")),
        ] {
            match (path(uri), expected) {
                (Ok(path), Ok(expected)) => assert_eq!(path, PathBuf::from(expected), "{uri}"),
                (Err(problem), Err(part)) => assert!(problem.contains(part), "{uri}: {problem}"),
                (found, _) => panic!("{uri}: {found:?}"),
            }
        }
    }
}
