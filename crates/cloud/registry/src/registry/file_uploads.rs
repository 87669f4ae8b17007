//! Uploads of devices: begun, ended, expired.

use ids::{Identity, Timestamp};
use store::{FileUploadRow, Lock, NotificationKind, Secret, StoreError, View, unit};
use wire::file_upload::{BlobName, FileNotification};
use wire::sas::SharedAccessKey;

use super::Registry;
use crate::entropy::random;
use crate::error::StorageError;
use crate::etag;
use crate::file_upload::{FileUpload, MAX_UPLOADS, UPLOAD_TTL, UploadError};
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
        let read = |view: &View<'_>| Ok(upload(view, row)?);
        self.inner.store.read(read)
    }

    /// An upload that has not ended, with its key.
    pub fn file_upload(
        &self,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<FileUpload, UploadError> {
        self.inner.store.read(|view| {
            let row = view.file_upload(correlation_id)?;
            let open = row.filter(|row| row.expires > now.ticks());
            Ok(upload(view, open.ok_or(UploadError::Unknown)?)?)
        })
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
                row.ok_or(UploadError::Unknown)
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

    /// Ends uploads whose time is over; returns how many.
    pub async fn expire_uploads(&self, now: Timestamp) -> Result<usize, StorageError> {
        let old = |view: &View<'_>| view.expired_file_uploads(now.ticks(), EXPIRED);
        let mut ended = 0;
        for row in self.inner.store.read(old)? {
            let end = unit(
                row,
                |row| vec![Lock::device(&row.hub, &row.device_id)],
                |row, view| Ok::<_, StorageError>(view.file_upload(&row.correlation_id)?),
                |_, tx, row: Option<FileUploadRow>| match row {
                    Some(row) => tx.delete_file_upload(&row),
                    None => Ok(()),
                },
            );
            self.inner.store.write_in_background(end).await?;
            ended += 1;
        }
        Ok(ended)
    }
}

fn upload(view: &View<'_>, row: FileUploadRow) -> Result<FileUpload, StoreError> {
    let key = SharedAccessKey::from_base64(row.key.reveal());
    Ok(FileUpload {
        hub: row.hub,
        device: row.device_id,
        correlation_id: row.correlation_id,
        name: view.decoded("blob name", BlobName::parse(&row.blob_name))?,
        key: view.decoded("key of an upload", key)?,
        expires: Timestamp::from_ticks(row.expires),
    })
}
