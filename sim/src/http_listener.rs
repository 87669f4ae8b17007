use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A plain HTTP server of a story; it stops listening when this value goes.
#[derive(Debug)]
pub(crate) struct HttpListener {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

/// What a server answers.
pub(crate) type Answer = Result<Response<Full<Bytes>>, Infallible>;

impl HttpListener {
    /// Listens on this address, and answers every request with what `answer` makes of it.
    pub(crate) async fn start<S, F>(
        address: SocketAddr,
        state: Arc<S>,
        answer: fn(Arc<S>, Request<Incoming>) -> F,
    ) -> Result<Self>
    where
        S: Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = state.clone();
                let service = service_fn(move |request| answer(state.clone(), request));
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    // The story sees what a connection that fails leaves out.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for HttpListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
