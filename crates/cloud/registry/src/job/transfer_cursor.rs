use serde::{Deserialize, Serialize};

/// How far an import or export is. What is done twice after a crash follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TransferCursor {
    /// Of an import, bytes of its file; of an export, devices.
    pub read: u64,
    /// What `read` is at the end, as far as it is known.
    pub total: u64,
    /// Bytes of the file that it writes. What is behind them is written again.
    pub written: u64,
    /// Of an export, the last device.
    pub after: String,
    /// Nothing is left but to put the file in its place.
    pub complete: bool,
}

impl TransferCursor {
    /// Reads the cursor of a job; empty when the job has done nothing.
    ///
    /// # Errors
    /// When it was not written by [`to_text`](Self::to_text).
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self::default()),
            text => serde_json::from_str(text).map_err(|error| error.to_string()),
        }
    }

    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Under 100 as long as there is something left.
    #[must_use]
    pub fn percent(&self) -> u8 {
        match self.complete {
            true => 100,
            false => {
                let percent = self.read.saturating_mul(100) / self.total.max(1);
                u8::try_from(percent.min(99)).unwrap_or(99)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written() {
        let cursor = TransferCursor {
            read: 3,
            total: 4,
            written: 5,
            after: "d\"1".to_owned(),
            complete: false,
        };
        assert_eq!(TransferCursor::parse(&cursor.to_text()), Ok(cursor.clone()));
        assert_eq!(TransferCursor::parse(""), Ok(TransferCursor::default()));
        assert!(TransferCursor::parse("d1").is_err());
        assert_eq!(cursor.percent(), 75);
        assert_eq!(TransferCursor::default().percent(), 0);
        let more = TransferCursor { read: 9, ..cursor };
        assert_eq!(more.percent(), 99);
        let complete = TransferCursor {
            complete: true,
            ..more
        };
        assert_eq!(complete.percent(), 100);
    }
}
