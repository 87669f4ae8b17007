use ids::HubHost;
use wire::est::Operation;

/// Longest path of a URL, bytes.
const MAX_PATH: usize = 512;

/// Where an EST server is: `https://HOST[:PORT]/.well-known/est[/LABEL]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstServer {
    /// Without TLS, everybody on the way reads passwords and changes answers. Azure's daemon allows
    /// it.
    is_https: bool,
    host: HubHost,
    /// Without a slash at its end.
    path: String,
}

/// Why a text is not the URL of an EST server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EstUrlError {
    #[error("it has to begin with https:// or http://")]
    Scheme,
    #[error("its host cannot be read: {0}")]
    Host(String),
    #[error("its path may have no ?, # or space, and at most {MAX_PATH} characters of ASCII")]
    Path,
}

impl EstServer {
    /// A server with a path that begins with a slash, or is empty.
    #[must_use]
    pub fn new(is_https: bool, host: HubHost, path: &str) -> Self {
        Self {
            is_https,
            host,
            path: path.trim_end_matches('/').to_owned(),
        }
    }

    /// Reads a URL. Whatever it ends with, the name of the operation follows.
    pub fn parse(url: &str) -> Result<Self, EstUrlError> {
        let scheme = |scheme: &str| {
            let (start, rest) = url.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        };
        let (is_https, rest) = match (scheme("https://"), scheme("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(EstUrlError::Scheme),
        };
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let host = HubHost::parse(host).map_err(|error| EstUrlError::Host(error.to_string()))?;
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#');
        if path.len() > MAX_PATH || !path.chars().all(plain) {
            return Err(EstUrlError::Path);
        }
        Ok(Self::new(is_https, host, path))
    }

    #[must_use]
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    pub fn host(&self) -> &HubHost {
        &self.host
    }

    pub(super) fn target(&self, operation: Operation) -> String {
        format!("{}/{}", self.path, operation.name())
    }
}

impl std::fmt::Display for EstServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.host, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_configurations_have_them() {
        for (url, printed, target) in [
            (
                "https://hub.example/.well-known/est",
                "https://hub.example/.well-known/est",
                "/.well-known/est/cacerts",
            ),
            (
                "HTTPS://10.0.0.1:8443/.well-known/est/fleet/",
                "https://10.0.0.1:8443/.well-known/est/fleet",
                "/.well-known/est/fleet/cacerts",
            ),
            ("https://hub.example", "https://hub.example", "/cacerts"),
            (
                "http://10.0.0.1/.well-known/est",
                "http://10.0.0.1/.well-known/est",
                "/.well-known/est/cacerts",
            ),
        ] {
            let server = EstServer::parse(url).unwrap();
            assert_eq!(server.to_string(), printed);
            assert_eq!(server.target(Operation::CaCerts), target);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let long = format!("https://a/{}", "x".repeat(MAX_PATH));
        for (url, error) in [
            ("ftp://a/.well-known/est", EstUrlError::Scheme),
            ("a/.well-known/est", EstUrlError::Scheme),
            ("", EstUrlError::Scheme),
            ("https://a/est?x=1", EstUrlError::Path),
            ("https://a/e st", EstUrlError::Path),
            (&long, EstUrlError::Path),
        ] {
            assert_eq!(EstServer::parse(url), Err(error), "{url}");
        }
        assert!(matches!(
            EstServer::parse("https:///est"),
            Err(EstUrlError::Host(_))
        ));
    }
}
