//! Removes images of modules that no container has used for long.
//!
//! Only images that containers of this device ran are removed: the engine may have others, of
//! which this program knows nothing.

mod schedule;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ids::{Timestamp, error_chain};
use serde::{Deserialize, Serialize};

use self::schedule::is_due;
use super::Agent;
use crate::clock;
use crate::config::ImageGc;
use crate::desired::modules::Target;
use crate::files::durable;
use crate::runtime::{ModuleRuntime, Observed};

/// How exactly it is kept when an image was used last. Each change is a write.
const EXACTNESS: Duration = Duration::from_secs(12 * 3600);

/// When images were used last, as kept on disk.
#[derive(Debug)]
pub(super) struct ImageRecord {
    path: PathBuf,
    kept: Kept,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    /// By image id.
    images: BTreeMap<String, UsedImage>,
    /// When images were removed last, or when this began.
    last_run: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsedImage {
    /// As a deployment named it.
    name: String,
    last_used: Timestamp,
}

impl ImageRecord {
    pub(super) fn load(path: &Path) -> Self {
        let kept = durable::read_json(path).unwrap_or_else(|error| {
            // Without it, images are removed later.
            tracing::warn!(error = %error_chain(&error), "earlier use of images is forgotten");
            None
        });
        Self {
            path: path.to_owned(),
            kept: kept.unwrap_or_default(),
        }
    }

    fn save(&self) {
        if let Err(error) = durable::write_json(&self.path, &self.kept) {
            tracing::error!(error = %error_chain(&error), "the use of images cannot be kept");
        }
    }
}

impl Kept {
    /// Notes the images that containers use. Returns whether there is something to save.
    fn note(&mut self, observed: &[Observed], now: Timestamp) -> bool {
        let mut changed = false;
        for found in observed {
            let Some(id) = &found.image_id else { continue };
            let known = self.images.get(id).is_some_and(|used| {
                // A time in the future was written before the clock was set back.
                let fresh = used.last_used <= now && now.since(used.last_used) < EXACTNESS;
                fresh && used.name == found.image
            });
            if !known {
                let used = UsedImage {
                    name: found.image.clone(),
                    last_used: now,
                };
                self.images.insert(id.clone(), used);
                changed = true;
            }
        }
        changed
    }

    /// Ids and names of the images that nothing has used or wanted for long.
    fn unused(
        &self,
        observed: &[Observed],
        wanted: &[&str],
        settings: &ImageGc,
        now: Timestamp,
    ) -> Vec<(String, String)> {
        let in_use = |id: &String| {
            let mut containers = observed.iter();
            containers.any(|found| found.image_id.as_ref() == Some(id))
        };
        // What a name means now. An image that a pull has replaced has the same name.
        let newest = |name: &str| {
            let named = self.images.iter().filter(|(_, used)| used.name == name);
            named.max_by_key(|(id, used)| (in_use(id), used.last_used))
        };
        let is_wanted = |id: &String, used: &UsedImage| {
            let name = used.name.as_str();
            wanted.contains(&name) && newest(name).is_some_and(|(newest, _)| newest == id)
        };
        let old = |used: &UsedImage| now.since(used.last_used) >= settings.unused_for;
        let unused = self
            .images
            .iter()
            .filter(|(id, used)| old(used) && !in_use(id) && !is_wanted(id, used));
        unused
            .map(|(id, used)| (id.clone(), used.name.clone()))
            .collect()
    }
}

impl<R: ModuleRuntime> Agent<R> {
    /// Notes which images are in use, and removes others when it is time.
    pub(super) async fn collect_images(&mut self, target: &Target, observed: &[Observed]) {
        let (now, settings) = (clock::now(), self.config.image_gc);
        let mut changed = self.images.kept.note(observed, now);
        if self.images.kept.last_run.is_none_or(|last| last > now) {
            self.images.kept.last_run = Some(now);
            changed = true;
        }
        let last = self.images.kept.last_run;
        if settings.enabled && last.is_some_and(|last| is_due(last, now, &settings)) {
            self.images.kept.last_run = Some(now);
            changed = true;
            let modules = target.modules.values();
            let wanted: Vec<&str> = modules.map(|m| m.settings.image.as_str()).collect();
            for (id, name) in self.images.kept.unused(observed, &wanted, &settings, now) {
                self.remove_image(&id, &name).await;
            }
        }
        if changed {
            self.images.save();
        }
    }

    async fn remove_image(&mut self, id: &str, name: &str) {
        match self.runtime.remove_image(name, id).await {
            Ok(true) => {
                tracing::info!(image = name, "an unused image is removed");
                self.images.kept.images.remove(id);
            }
            Ok(false) => tracing::info!(image = name, "an unused image is needed otherwise"),
            Err(error) => {
                let error = error_chain(&error);
                tracing::warn!(image = name, %error, "an unused image is not removed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ids::ModuleId;

    use super::*;
    use crate::runtime::ContainerState;

    const DAY: i64 = 24 * 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_000_000_000 + seconds)
    }

    fn container(image: &str) -> Observed {
        Observed {
            module: ModuleId::parse("m").unwrap(),
            id: "c".to_owned(),
            image: image.to_owned(),
            image_id: Some(format!("sha256:{image}")),
            digest: None,
            create_options: None,
            state: ContainerState::Running,
            unhealthy: false,
            started: None,
        }
    }

    #[test]
    fn only_images_that_nothing_has_used_for_long_are_unused() {
        let settings = ImageGc::default();
        let mut kept = Kept::default();
        assert!(kept.note(&[container("old"), container("wanted")], at(0)));
        assert!(!kept.note(&[container("old")], at(3600)));
        assert!(kept.note(&[container("new")], at(6 * DAY)));
        let unused = |now, observed: &[Observed]| {
            let found = kept.unused(observed, &["wanted"], &settings, at(now));
            found.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
        };
        assert_eq!(unused(6 * DAY, &[]), [] as [&str; 0]);
        assert_eq!(unused(7 * DAY, &[]), ["old"]);
        assert_eq!(unused(7 * DAY, &[container("old")]), [] as [&str; 0]);
        assert_eq!(unused(13 * DAY, &[]), ["new", "old"]);
    }

    /// As by a pull of a tag that was pushed again.
    #[test]
    fn a_replaced_image_is_unused_though_its_name_is_wanted() {
        let settings = ImageGc::default();
        let mut kept = Kept::default();
        let of_id = |id: &str| Observed {
            image_id: Some(id.to_owned()),
            ..container("x:1")
        };
        kept.note(&[of_id("sha256:9")], at(0));
        kept.note(&[of_id("sha256:1")], at(DAY));
        let unused = |observed: &[Observed]| {
            let found = kept.unused(observed, &["x:1"], &settings, at(30 * DAY));
            found.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(unused(&[of_id("sha256:1")]), ["sha256:9"]);
        assert_eq!(unused(&[]), ["sha256:9"]);
        // A deployment went back to the older one.
        assert_eq!(unused(&[of_id("sha256:9")]), ["sha256:1"]);
    }

    /// A clock that was set back must not keep an image for years.
    #[test]
    fn a_time_in_the_future_is_corrected() {
        let mut kept = Kept::default();
        kept.note(&[container("a")], at(1000 * DAY));
        assert!(kept.note(&[container("a")], at(0)));
        assert_eq!(kept.images["sha256:a"].last_used, at(0));
    }
}
