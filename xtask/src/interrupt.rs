//! Ctrl-C and SIGTERM as a flag that every wait looks at, so that what a verb
//! made is taken down by the ordinary way out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};

/// Raised once by the first Ctrl-C or SIGTERM.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts listening. From here on Ctrl-C no longer ends the process.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let raised = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .context("cannot start the signal listener")?;
        let interrupt = {
            let _guard = runtime.enter();
            let mut terminate =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            let mut interrupt =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
            let raised = Arc::clone(&raised);
            async move {
                // Both streams may be dropped and polled again: cancel-safe.
                loop {
                    tokio::select! {
                        _ = terminate.recv() => raised.store(true, Ordering::SeqCst),
                        _ = interrupt.recv() => raised.store(true, Ordering::SeqCst),
                    }
                }
            }
        };
        std::thread::spawn(move || runtime.block_on(interrupt));
        Ok(Self(raised))
    }

    pub(crate) fn raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// An error once raised; the verbs pass it up with `?`.
    pub(crate) fn or_go_on(&self) -> anyhow::Result<()> {
        if self.raised() {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Lowers the flag, so that taking down may wait for things.
    pub(crate) fn lower(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
