use percent_encoding::percent_decode_str;

use super::CONTAINER;

/// Longest name of a blob, bytes.
const MAX_NAME: usize = 1024;
/// Longest segment of a name, bytes: what a file system takes.
const MAX_SEGMENT: usize = 255;

/// The name that a device gives a blob: segments with `/` between them, each of which may be the
/// name of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobName(String);

impl BlobName {
    /// Parses a name.
    ///
    /// # Errors
    /// What is wrong with it: it is empty or too long, or a segment is empty, `.`, `..`, too long,
    /// or has a character that no file name should have.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > MAX_NAME {
            return Err("has to have 1 to 1024 bytes");
        }
        for segment in text.split('/') {
            match segment {
                "" => return Err("has an empty segment"),
                "." | ".." => return Err("has a segment '.' or '..'"),
                long if long.len() > MAX_SEGMENT => return Err("has a segment of over 255 bytes"),
                other if other.contains(['\\', '\0']) || other.contains(char::is_control) => {
                    return Err("has a backslash or a control character");
                }
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as the device gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The blob that the path of a URI names, percent-decoded once; `None` when the path is not below
/// the container. Clients encode the `/` of a blob or leave it as it is.
#[must_use]
pub fn blob_of_path(path: &str) -> Option<String> {
    let below = path.strip_prefix('/')?.strip_prefix(CONTAINER)?;
    let blob = percent_decode_str(below.strip_prefix('/')?).decode_utf8();
    Some(blob.ok()?.into_owned()).filter(|blob| !blob.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_blob_however_its_slashes_are_written() {
        for path in [
            "/uploads/d1/a%20b",
            "/uploads/d1%2Fa%20b",
            "/uploads/d1%2fa b",
        ] {
            assert_eq!(blob_of_path(path).as_deref(), Some("d1/a b"), "{path}");
        }
        for path in [
            "/uploads",
            "/uploads/",
            "/uploadsd1/a",
            "uploads/d1/a",
            "/uploads/%ff",
            "/",
        ] {
            assert_eq!(blob_of_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_name_stays_in_its_folder() {
        for good in ["a", "a/b.txt", "ü/…", ".hidden", "a..b"] {
            assert_eq!(BlobName::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(256);
        for bad in [
            "", "/a", "a/", "a//b", ".", "a/../b", "..", "a\\b", "a\nb", "a\0", &long,
        ] {
            assert!(BlobName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
