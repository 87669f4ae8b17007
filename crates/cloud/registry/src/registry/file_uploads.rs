//! Uploads of devices: begun, ended, expired.

use ids::{Identity, Timestamp};
use store::{
    ExpiredUploadRow, FileUploadRow, Lock, NotificationKind, OpenUploadRow, Secret, StoreError,
    View, WrittenFileRow, unit,
};
use wire::file_upload::{BlobName, FileNotification};
use wire::sas::SharedAccessKey;

use super::Registry;
use crate::entropy::random;
use crate::error::StorageError;
use crate::etag;
use crate::file_upload::{FileUpload, MAX_UPLOADS, UPLOAD_TTL, UploadError, WrittenFile};
use crate::rows::lock;

/// Expired uploads that one pass ends.
const EXPIRED: usize = 64;

impl Registry {
    /// Begins an upload of a device. Modules upload nothing, as in Azure.
    pub async fn begin_upload(
        &self,
        of: &Identity,
        name: &BlobName,
        now: Timestamp,
    ) -> Result<FileUpload, UploadError> {
        let entropy = &*self.inner.entropy;
        let secret = crate::entropy::generate_key(entropy);
        let row = FileUploadRow {
            hub: of.hub.clone(),
            device_id: of.device.clone(),
            correlation_id: etag::random(random(entropy)).to_string(),
            blob_name: name.as_str().to_owned(),
            key: Secret::new(secret.reveal()),
            expires: now.plus(UPLOAD_TTL).ticks(),
        };
        let (identity, now) = (of.of_device(), now.ticks());
        let begin = unit(
            (identity, row.clone()),
            |(identity, _)| vec![lock(identity)],
            move |(identity, _), view| {
                if view.queue_owner(identity.into())?.is_none() {
                    return Err(UploadError::NotFound(identity.clone()));
                }
                let device = (identity.hub.as_str(), identity.device.as_str());
                match view.count_file_uploads(device, now)? < MAX_UPLOADS {
                    true => Ok(()),
                    false => Err(UploadError::TooMany(identity.clone())),
                }
            },
            |(_, row), tx, ()| tx.insert_file_upload(row),
        );
        self.inner.store.write_without_act(begin).await?;
        let row = OpenUploadRow {
            upload: row,
            enabled: true,
            written: None,
        };
        let read = |view: &View<'_>| Ok(upload(view, row)?);
        self.inner.store.read(read)
    }

    /// An upload that has not ended, of a device that is enabled, with its key.
    pub fn file_upload(
        &self,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<FileUpload, UploadError> {
        self.inner.store.read(|view| {
            let row = view.file_upload(correlation_id)?;
            Ok(upload(view, require_open(row, now)?)?)
        })
    }

    /// Whether an upload has ended. One that cannot be read has not.
    pub fn upload_has_ended(
        &self,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let row = self
            .inner
            .store
            .read(|view| Ok::<_, StorageError>(view.file_upload(correlation_id)?))?;
        Ok(row.is_none_or(|row| row.upload.expires <= now.ticks()))
    }

    /// Enters the file that a device has written. An upload that has ended meanwhile is refused.
    pub async fn enter_written_file(
        &self,
        upload: &FileUpload,
        file: WrittenFile,
        now: Timestamp,
    ) -> Result<(), UploadError> {
        let enter = unit(
            upload.clone(),
            |upload| vec![Lock::device(&upload.hub, &upload.device)],
            move |upload, view| {
                let row = view.file_upload(&upload.correlation_id)?;
                Ok(require_open(same_device(row, upload), now)?.upload)
            },
            move |_, tx, row: FileUploadRow| {
                let written = WrittenFileRow {
                    bytes: file.bytes,
                    modified: file.modified.ticks(),
                };
                tx.update_written_file(&row, written)
            },
        );
        self.inner.store.write_without_act(enter).await
    }

    /// Ends an upload; back ends read `notification`, if there is one.
    pub async fn end_upload(
        &self,
        upload: &FileUpload,
        notification: Option<FileNotification>,
        now: Timestamp,
    ) -> Result<(), UploadError> {
        let record = notification.map(|record| serde_json::to_string(&record).unwrap_or_default());
        let end = unit(
            (upload.clone(), record),
            |(upload, record)| {
                let hub = upload.hub.as_str();
                let mut locks = vec![Lock::device(&upload.hub, &upload.device)];
                locks.extend(record.as_ref().map(|_| Lock::Notifications { hub }));
                locks
            },
            |(upload, _), view| {
                let row = view.file_upload(&upload.correlation_id)?;
                let row = same_device(row, upload).ok_or(UploadError::Unknown)?;
                Ok(row.upload)
            },
            move |(upload, record), tx, row: FileUploadRow| {
                tx.delete_file_upload(&row)?;
                match record {
                    None => Ok(()),
                    Some(record) => {
                        let of = (upload.hub.as_str(), NotificationKind::File);
                        tx.insert_notification(of, record, now.ticks())
                    }
                }
            },
        );
        self.inner.store.write_without_act(end).await
    }

    /// Ends uploads whose time is over; returns how many. One that cannot be ended is logged, and
    /// stops no other.
    pub async fn expire_uploads(&self, now: Timestamp) -> Result<usize, StorageError> {
        let old = |view: &View<'_>| view.expired_file_uploads(now.ticks(), EXPIRED);
        let mut ended = 0;
        for row in self.inner.store.read(old)? {
            let done = match row {
                Ok(row) => self.expire_upload(row).await,
                Err(damaged) => Err(damaged.into()),
            };
            match done {
                Ok(()) => ended += 1,
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an upload was not ended"
                ),
            }
        }
        Ok(ended)
    }

    async fn expire_upload(&self, row: ExpiredUploadRow) -> Result<(), StorageError> {
        let end = unit(
            row,
            |ExpiredUploadRow { hub, device_id, .. }| vec![Lock::Device { hub, device_id }],
            |_, _| Ok::<_, StorageError>(()),
            |row, tx, ()| tx.delete_expired_file_upload(row),
        );
        self.inner.store.write_in_background(end).await
    }
}

/// An upload that its device may go on with.
fn require_open(row: Option<OpenUploadRow>, now: Timestamp) -> Result<OpenUploadRow, UploadError> {
    let row = row.filter(|row| row.upload.expires > now.ticks());
    let row = row.ok_or(UploadError::Unknown)?;
    match row.enabled {
        true => Ok(row),
        false => {
            let FileUploadRow { hub, device_id, .. } = row.upload;
            Err(UploadError::Disabled(Identity::device(hub, device_id)))
        }
    }
}

/// The row of an upload, which is still of the same device of the same hub.
fn same_device(row: Option<OpenUploadRow>, upload: &FileUpload) -> Option<OpenUploadRow> {
    row.filter(|row| row.upload.hub == upload.hub && row.upload.device_id == upload.device)
}

fn upload(view: &View<'_>, row: OpenUploadRow) -> Result<FileUpload, StoreError> {
    let OpenUploadRow {
        upload, written, ..
    } = row;
    let key = SharedAccessKey::from_base64(upload.key.reveal());
    Ok(FileUpload {
        hub: upload.hub,
        device: upload.device_id,
        correlation_id: upload.correlation_id,
        name: view.decoded("blob name", BlobName::parse(&upload.blob_name))?,
        key: view.decoded("key of an upload", key)?,
        expires: Timestamp::from_ticks(upload.expires),
        written: written.map(|file| WrittenFile {
            bytes: file.bytes,
            modified: Timestamp::from_ticks(file.modified),
        }),
    })
}
