use std::sync::Mutex;

use outbound::{
    Connecting, OutboundFault, PublishFault, Publishing, StreamConnection, StreamFault,
    StreamLogin, StreamMessage, StreamServer, Streams,
};
use std::sync::Arc;

/// A server with one stream, which keeps what is published.
#[derive(Clone, Default)]
pub struct Stream(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    messages: Vec<StreamMessage>,
    /// Hosts, and the users of the connections to them.
    connected: Vec<(String, Option<String>)>,
    /// How many of the next calls fail.
    failures: usize,
    /// Bodies that are too large for it.
    refused: Vec<&'static [u8]>,
    /// How many messages a call may have before the connection breaks.
    most: Option<usize>,
    /// How many calls published something.
    publications: usize,
}

impl Stream {
    /// Lets the next calls fail: connections, and messages on open ones.
    pub fn fail(&self, calls: usize) {
        self.0.lock().unwrap().failures = calls;
    }

    pub fn refuse(&self, body: &'static [u8]) {
        self.0.lock().unwrap().refused.push(body);
    }

    /// Lets each call fail behind so many messages.
    pub fn break_after(&self, most: usize) {
        self.0.lock().unwrap().most = Some(most);
    }

    pub fn publications(&self) -> usize {
        self.0.lock().unwrap().publications
    }

    pub fn messages(&self) -> Vec<StreamMessage> {
        self.0.lock().unwrap().messages.clone()
    }

    /// Hosts with the users that they were connected to as.
    pub fn connected(&self) -> Vec<(String, Option<String>)> {
        self.0.lock().unwrap().connected.clone()
    }
}

impl State {
    fn fails(&mut self) -> bool {
        let fails = self.failures > 0;
        self.failures = self.failures.saturating_sub(1);
        fails
    }
}

impl Streams for Stream {
    fn connect(&self, server: StreamServer) -> Connecting<'_> {
        let mut state = self.0.lock().unwrap();
        let user = match server.login {
            StreamLogin::Password { user, password } => Some(format!("{user}:{}", *password)),
            StreamLogin::Token(token) => Some(token.to_string()),
            StreamLogin::Anonymous => None,
        };
        state.connected.push((server.host, user));
        let opened: Result<Box<dyn StreamConnection>, _> = match state.fails() {
            true => Err(OutboundFault::Unreachable("connection refused".to_owned())),
            false => Ok(Box::new(self.clone())),
        };
        Box::pin(async move { opened })
    }
}

impl StreamConnection for Stream {
    fn publish(&self, messages: Vec<StreamMessage>) -> Publishing<'_> {
        let mut state = self.0.lock().unwrap();
        let most = match state.fails() {
            true => Some(0),
            false => state.most,
        };
        state.publications += usize::from(most != Some(0));
        for (acknowledged, message) in messages.into_iter().enumerate() {
            let fault = if Some(acknowledged) == most {
                Some(StreamFault::NotStored("the connection broke".to_owned()))
            } else if state.refused.iter().any(|body| *body == message.body) {
                Some(StreamFault::Refused("it is too large".to_owned()))
            } else {
                None
            };
            if let Some(fault) = fault {
                let fault = PublishFault {
                    acknowledged,
                    fault,
                };
                return Box::pin(async move { Err(fault) });
            }
            if !state.messages.iter().any(|known| known.id == message.id) {
                state.messages.push(message);
            }
        }
        Box::pin(async { Ok(()) })
    }
}
