//! Something happens while a task is between two readings of the clock.

use std::cell::{Cell, RefCell};

type Act = Box<dyn FnOnce() + Send>;

struct Interruption {
    /// Readings until it happens.
    left: Cell<usize>,
    act: RefCell<Option<Act>>,
}

tokio::task_local! {
    static INTERRUPTION: Interruption;
}

/// Does `work`; `act` happens within its reading of the clock with number `reading`, from 1 on. The
/// result, and whether there were so many readings.
pub async fn interrupted<T>(
    reading: usize,
    act: impl FnOnce() + Send + 'static,
    work: impl Future<Output = T>,
) -> (T, bool) {
    let interruption = Interruption {
        left: Cell::new(reading),
        act: RefCell::new(Some(Box::new(act))),
    };
    let watched = async {
        let result = work.await;
        let happened = INTERRUPTION.with(|interruption| interruption.act.borrow().is_none());
        (result, happened)
    };
    INTERRUPTION.scope(interruption, watched).await
}

/// The clock calls this at each reading.
pub fn read_clock() {
    // Other tasks have none.
    let _ = INTERRUPTION.try_with(|interruption| {
        let left = interruption.left.get().saturating_sub(1);
        interruption.left.set(left);
        let act = match left {
            0 => interruption.act.take(),
            _ => None,
        };
        if let Some(act) = act {
            act();
        }
    });
}
