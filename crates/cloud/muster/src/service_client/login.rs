/// A connection string of the command line. It holds a key, so `Debug` hides it.
#[derive(Clone)]
pub struct Login(String);

impl std::str::FromStr for Login {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Login {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
