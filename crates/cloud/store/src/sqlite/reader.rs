use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::sqlite::connection::{View, open_reader};
use crate::{DataDirectory, OpenError, StoreError};

/// Connections kept for the next reader.
const KEPT: usize = 8;

/// Connections for reading. One is taken for a read and given back; when all are out,
/// another one is opened.
pub(crate) struct Readers {
    file: Arc<Path>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(file: Arc<Path>) -> Self {
        Self {
            file,
            idle: Mutex::default(),
        }
    }

    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = self.take()?;
        let result = work(&View {
            connection: &connection,
            file: &self.file,
            batch: 0,
        });
        self.give_back(connection);
        result
    }

    /// Like [`read`](Self::read), but all that is read is of one moment.
    pub(crate) fn read_snapshot<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = self.take()?;
        let failed = |error| StoreError::sql("reading", &self.file, error);
        // Dropping the transaction ends it; there is nothing to roll back.
        let snapshot = connection.unchecked_transaction().map_err(failed)?;
        let result = work(&View {
            connection: &snapshot,
            file: &self.file,
            batch: 0,
        });
        drop(snapshot);
        self.give_back(connection);
        result
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(connection) => Ok(connection),
            None => open_reader(&self.file).map_err(|error| match error {
                OpenError::Store(error) => error,
                other => StoreError::words("opening", &self.file, other.to_string()),
            }),
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }
}

/// A data directory opened for reading only, also while a server holds it.
pub struct ReadOnlyStore {
    readers: Readers,
}

impl ReadOnlyStore {
    pub(crate) fn open(directory: &Path) -> Result<Self, OpenError> {
        let file: Arc<Path> = DataDirectory::database(directory).into();
        if !file.exists() {
            return Err(OpenError::Absent(directory.to_owned()));
        }
        let readers = Readers::new(file.clone());
        readers.give_back(open_reader(&file)?);
        Ok(Self { readers })
    }

    /// Reads, all of one moment.
    pub fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.readers.read_snapshot(work)
    }
}
