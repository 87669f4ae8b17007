//! Candidates of a step, from each source.

use store::{DeviceRange, IdentityRow, Listed, TwinRow, View};

use super::{Position, QueryError, Rest, TagRange, Walk, Whose};

impl Walk {
    pub(super) fn devices(
        &mut self,
        view: &View<'_>,
        ranges: &[DeviceRange],
    ) -> Result<Rest, QueryError> {
        let mut left = self.batch();
        for (place, range) in (1..).zip(ranges) {
            let (device, module) = self.after();
            if range.to < device {
                continue;
            }
            let hub = self.hub.clone();
            let page = view.twins_in_range(
                (&hub, self.kind),
                range,
                (&device, &module),
                self.parts(),
                left,
            )?;
            let mut page_left = page.rows.len();
            for listed in page.rows {
                page_left -= 1;
                left = left.saturating_sub(1);
                let at = (listed.device_id.clone(), listed.module_id.clone());
                if let Some((row, twin)) = self.readable(listed) {
                    self.offer(view, row, twin)?;
                }
                self.at = Some(Position::Identity(at.0, at.1));
                if self.is_full() {
                    let last = page_left == 0 && !page.more && place == ranges.len();
                    return Ok(if last { Rest::None } else { Rest::NotWanted });
                }
            }
            if page.more || left == 0 {
                return Ok(Rest::Some);
            }
        }
        Ok(Rest::None)
    }

    /// What was read of a candidate; one that is damaged is skipped.
    pub(super) fn readable(
        &self,
        listed: Listed<(IdentityRow, TwinRow)>,
    ) -> Option<(IdentityRow, TwinRow)> {
        match listed.row {
            // Noted as well only when its documents have been read, too.
            Ok(read) => Some(read),
            Err(error) => {
                let whose = Whose::module(&self.hub, &listed.device_id, &listed.module_id);
                self.unreadable.failed(whose, &error);
                None
            }
        }
    }

    /// The device and module looked at last.
    fn after(&self) -> (String, String) {
        match &self.at {
            Some(Position::Identity(device, module)) => (device.clone(), module.clone()),
            _ => Default::default(),
        }
    }

    pub(super) fn tags(
        &mut self,
        view: &View<'_>,
        ranges: &[TagRange],
    ) -> Result<Rest, QueryError> {
        let mut left = self.batch();
        for (place, range) in (1..).zip(ranges) {
            let after = match &self.at {
                Some(Position::Tag(entry)) => Some(entry.clone()),
                _ => None,
            };
            if after.as_ref().is_some_and(|after| range.to < after.value) {
                continue;
            }
            let hub = self.hub.clone();
            let hub = (&hub, self.kind);
            let mut entries = view.tag_entries(hub, range, after.as_ref(), left + 1)?;
            let more = entries.len() > left;
            entries.truncate(left);
            let mut page_left = entries.len();
            for entry in entries {
                page_left -= 1;
                left = left.saturating_sub(1);
                let listed = view.twin_in_row(entry.identity, self.parts())?;
                if let Some((row, twin)) = listed.and_then(|listed| self.readable(listed)) {
                    self.offer(view, row, twin)?;
                }
                self.at = Some(Position::Tag(entry));
                if self.is_full() {
                    let last = page_left == 0 && !more && place == ranges.len();
                    return Ok(if last { Rest::None } else { Rest::NotWanted });
                }
            }
            if more || left == 0 {
                return Ok(Rest::Some);
            }
        }
        Ok(Rest::None)
    }

    pub(super) fn configuration(
        &mut self,
        view: &View<'_>,
        id: &str,
        applied: bool,
    ) -> Result<Rest, QueryError> {
        let limit = self.batch();
        let (first, _) = self.after();
        // The first one may be the one that the step before ended with.
        let devices = view.targeted_devices(self.hub.as_str(), id, applied, &first, limit + 1)?;
        let more = devices.len() > limit;
        for device in devices {
            let range = DeviceRange {
                from: device.clone(),
                to: device.clone(),
            };
            let rest = self.devices(view, &[range])?;
            if self.is_full() {
                return Ok(Rest::NotWanted);
            }
            if rest == Rest::Some {
                return Ok(rest);
            }
            // All modules of the device have been looked at.
            self.at = Some(Position::Identity(device, "\u{7f}".to_owned()));
        }
        Ok(if more { Rest::Some } else { Rest::None })
    }
}
