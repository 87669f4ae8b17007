//! Tasks that a direct method has started. They outlive the session.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use wire::edge_api::manifest::{TaskRunStatus, TaskStatus};

/// Tasks whose status is kept.
const KEPT: usize = 100;
/// The longest time of one task.
const WITHIN: Duration = Duration::from_secs(600);

/// The tasks, oldest first.
#[derive(Debug, Default)]
pub struct Tasks(Mutex<VecDeque<TaskStatus>>);

impl Tasks {
    /// Starts a task and returns its first status. An error of `work` is for the caller.
    pub(super) fn start(
        self: &Arc<Self>,
        operation: &'static str,
        work: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> Value {
        let status = TaskStatus {
            status: TaskRunStatus::Running,
            message: String::new(),
            correlation_id: uuid::Uuid::new_v4().to_string(),
        };
        let mut tasks = self.lock();
        if tasks.len() == KEPT {
            tasks.pop_front();
        }
        tasks.push_back(status.clone());
        drop(tasks);
        let (tasks, id) = (self.clone(), status.correlation_id.clone());
        tokio::spawn(async move {
            let done = tokio::time::timeout(WITHIN, work).await;
            let done = done.unwrap_or_else(|_| Err(format!("it took over {} s", WITHIN.as_secs())));
            match &done {
                Ok(()) => tracing::info!(task.id = %id, operation, "a task has succeeded"),
                Err(error) => tracing::warn!(task.id = %id, operation, error, "a task has failed"),
            }
            tasks.ended(&id, operation, done);
        });
        json!(status)
    }

    fn ended(&self, id: &str, operation: &str, done: Result<(), String>) {
        let mut tasks = self.lock();
        let Some(task) = tasks.iter_mut().find(|task| task.correlation_id == id) else {
            return;
        };
        match done {
            Ok(()) => task.status = TaskRunStatus::Completed,
            Err(error) => {
                task.status = TaskRunStatus::Failed;
                task.message = format!("Task {operation} failed because of error {error}");
            }
        }
    }

    pub(super) fn status(&self, id: &str) -> TaskStatus {
        let tasks = self.lock();
        let found = tasks
            .iter()
            .find(|task| task.correlation_id.eq_ignore_ascii_case(id));
        found.cloned().unwrap_or_else(|| TaskStatus {
            status: TaskRunStatus::Unknown,
            message: String::new(),
            correlation_id: id.to_owned(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<TaskStatus>> {
        // A change that a panic cuts short leaves statuses that are each complete.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_status_of_a_task_is_kept_when_it_has_ended() {
        let tasks = Arc::new(Tasks::default());
        let (release, released) = tokio::sync::oneshot::channel();
        let first = tasks.start("wait", async { released.await.map_err(|e| e.to_string())? });
        let id = first["correlationId"].as_str().unwrap().to_owned();
        assert_eq!(first["status"], "Running");
        release.send(Err("no space".to_owned())).unwrap();
        while tasks.status(&id).status == TaskRunStatus::Running {
            tokio::task::yield_now().await;
        }
        let failed = tasks.status(&id.to_uppercase());
        assert_eq!(failed.status, TaskRunStatus::Failed);
        assert_eq!(failed.message, "Task wait failed because of error no space");
        assert_eq!(tasks.status("other").status, TaskRunStatus::Unknown);
        for _ in 0..KEPT {
            tasks.start("nothing", async { Ok(()) });
        }
        assert_eq!(tasks.status(&id).status, TaskRunStatus::Unknown);
    }
}
