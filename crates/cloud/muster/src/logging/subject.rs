use std::fmt::{self, Debug, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use tracing::Event;
use tracing::field::{Field, Visit};

/// What a line is about. Two lines of one call site with the same subject say the same.
#[derive(Debug, Default)]
pub struct Subject {
    fields: DefaultHasher,
    message: DefaultHasher,
    /// Whether a field names the subject. Then the message is not compared.
    named: bool,
}

/// Fields that name the subject.
const NAMING: [&str; 4] = [
    "registration.id",
    "device.id",
    "client.id",
    "client.address",
];
/// Fields whose value differs each time.
const VARYING: [&str; 2] = ["request.id", "tracking.id"];

impl Subject {
    /// The subject of an event.
    pub fn of(event: &Event<'_>) -> Self {
        let mut subject = Self::default();
        event.record(&mut subject);
        subject
    }

    /// A hash that compares subjects.
    pub fn key(&self) -> u64 {
        let mut hasher = self.fields.clone();
        if !self.named {
            hasher.write_u64(self.message.finish());
        }
        hasher.finish()
    }
}

impl Visit for Subject {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let name = field.name();
        if VARYING.contains(&name) {
            return;
        }
        if name == "message" {
            // Writing into a hasher cannot fail.
            let _ = write!(Hashing(&mut self.message), "{value:?}");
            return;
        }
        self.named |= NAMING.contains(&name);
        name.hash(&mut self.fields);
        if name == "client.address" {
            let text = format!("{value:?}");
            // The port differs each time.
            match text.parse::<SocketAddr>() {
                Ok(address) => address.ip().hash(&mut self.fields),
                Err(_) => text.hash(&mut self.fields),
            }
        } else {
            let _ = write!(Hashing(&mut self.fields), "{value:?}");
        }
    }
}

struct Hashing<'a>(&'a mut DefaultHasher);

impl Write for Hashing<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// The message of an event.
pub fn message(event: &Event<'_>) -> String {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }
    let mut message = Message(String::new());
    event.record(&mut message);
    message.0
}
