//! The device API over MQTT: the same calls as over HTTPS, on topics. Also behind WebSockets.

use std::future::pending;
use std::net::IpAddr;
use std::time::Duration;

use ::mqtt::{Connect, ConnectReturnCode, Password, Publish, QoS, SubscribeResult, Will};
use bytes::Bytes;
use ids::RegistrationId;
use pki::PeerChain;
use rest::{ClientAddress, RequestError, RequestId};
use serde::Serialize;
use tokio::sync::watch;
use transport::{Close, ConnectRefused, DeviceSession, Ending, Outgoing};
use wire::device_api::register_request::{MAX_BODY, UnverifiedRegister};
use wire::device_api::registration::{
    OperationStatus, RETRY_AFTER_SECONDS, RETRY_AFTER_WORKING, RegistrationStatus,
};
use wire::device_api::username::Username;
use wire::error::ServiceError;
use wire::topic::{PROVISIONING_FILTER, ProvisioningRequest, ProvisioningResponse};

use crate::error::ServiceFault;
use crate::registration::operations::Caller;
use crate::registration::presented::{Presented, Token};
use crate::registration::refusal::{Refusal, TpmRefusal};
use crate::service::Dps;

/// The longest register request and its topic.
const MAX_PACKET: usize = 100 * 1024;
/// A session ends so long after the last request that was answered.
const IDLE: Duration = Duration::from_secs(60);
/// And so long after its CONNECT in any case: no device takes longer to register.
const LIFE: Duration = Duration::from_secs(600);

/// One connection of a device that registers. It has named itself; every request proves that anew.
pub struct DpsSession {
    dps: Dps,
    id_scope: String,
    registration_id: RegistrationId,
    chain: PeerChain,
    /// A token, as text.
    password: Option<Password>,
    from: Option<IpAddr>,
    proven: bool,
    /// How long it may stay from now on.
    stays: watch::Sender<Duration>,
}

/// Accepts a CONNECT with any certificate: the answer to the register request
/// says more than CONNACK can.
pub(crate) fn accept(
    dps: &Dps,
    connect: &Connect,
    chain: PeerChain,
) -> Result<DpsSession, ConnectRefused> {
    use ConnectReturnCode as Code;
    let username = connect.username.as_deref().unwrap_or_default();
    let username = match Username::parse(username) {
        Ok(Username::Provisioning(username)) => username,
        Ok(Username::Hub(_)) => {
            let reason = "the user name is one for a hub";
            return Err(ConnectRefused::new(Code::BadUserNameOrPassword, reason));
        }
        Err(error) => {
            let reason = error.to_string();
            return Err(ConnectRefused::new(Code::BadUserNameOrPassword, reason));
        }
    };
    if connect.will.is_some() {
        let reason = "the provisioning service publishes no wills";
        return Err(ConnectRefused::new(Code::NotAuthorized, reason));
    }
    if RegistrationId::parse(&connect.client_id).as_ref() != Ok(&username.registration_id) {
        let reason = "the client id is not the registration id of the user name";
        return Err(ConnectRefused::new(Code::IdentifierRejected, reason));
    }
    let password = connect.password.clone();
    if password
        .as_ref()
        .is_some_and(|password| str::from_utf8(password.as_bytes()).is_err())
    {
        let reason = "the password is not text; a shared access signature was expected";
        return Err(ConnectRefused::new(Code::BadUserNameOrPassword, reason));
    }
    Ok(DpsSession {
        dps: dps.clone(),
        id_scope: username.id_scope.to_string(),
        registration_id: username.registration_id,
        chain,
        password,
        from: None,
        proven: false,
        stays: watch::Sender::new(IDLE),
    })
}

/// Resolves when no request was answered for as long as `stays` holds; each change
/// of it counts from then.
async fn idle(mut stays: watch::Receiver<Duration>) {
    loop {
        let wait = *stays.borrow_and_update();
        // Cancel-safe: a change that comes first begins the wait anew.
        tokio::select! {
            () = tokio::time::sleep(wait) => return,
            changed = stays.changed() => if changed.is_err() {
                // The session is over, and nothing waits for this any more.
                return pending().await;
            },
        }
    }
}

/// An answer before it has a topic.
struct Answer {
    status: u16,
    retry_after: Option<u32>,
    body: Vec<u8>,
}

impl DpsSession {
    /// The same session, with the address that its connection comes from.
    #[must_use]
    pub fn coming_from(self, ClientAddress(address): ClientAddress) -> Self {
        Self {
            from: Some(address),
            ..self
        }
    }

    async fn register(&self, body: &[u8]) -> Result<Answer, ServiceFault> {
        if body.len() > MAX_BODY {
            return Err(RequestError::TooLarge { limit: MAX_BODY }.into());
        }
        let (id, caller) = (&self.registration_id, self.caller());
        let permit = self.dps.admit_address(self.from)?;
        let admitted = self.dps.admit(caller, permit)?;
        let body = UnverifiedRegister::parse(body)?;
        body.require_id(id)?;
        let presented = Presented {
            tpm: body.tpm.as_ref(),
            ..caller.presented
        };
        if presented.tpm.is_some() && presented.token.is_none() {
            // No client takes a challenge over MQTT; TPMs are for HTTPS and AMQP.
            let reason = TpmRefusal::NeedsHttps.into();
            return Err(Refusal::new(id, presented.chain, None, reason).into());
        }
        let caller = Caller {
            presented,
            ..caller
        };
        let operation = self.dps.register(admitted, caller, (&body).into());
        let operation = operation.await?.into_string();
        let status = OperationStatus::assigning(operation, id.clone());
        Ok(Answer::new(202, Some(RETRY_AFTER_SECONDS), &status))
    }

    async fn poll(&self, operation: &str) -> Result<Answer, ServiceFault> {
        let polled = self.dps.poll(self.caller(), operation);
        let (operation, state) = polled.await?;
        let status = OperationStatus::finished(operation.into_string(), state);
        Ok(match status.status {
            RegistrationStatus::Assigning => Answer::new(202, Some(RETRY_AFTER_WORKING), &status),
            _ => Answer::new(200, None, &status),
        })
    }

    fn caller(&self) -> Caller<'_> {
        let password = self.password.as_ref().map(Password::as_bytes);
        let token = password.and_then(|bytes| str::from_utf8(bytes).ok());
        Caller {
            id_scope: &self.id_scope,
            registration_id: &self.registration_id,
            presented: Presented {
                token: token.and_then(Token::from_text),
                from: self.from,
                ..Presented::from(&self.chain)
            },
        }
    }

    async fn fault(&self, fault: &ServiceFault) -> Answer {
        let request_id = RequestId::fresh();
        fault.log(&request_id);
        self.dps
            .note_refusal(fault, &self.id_scope, self.from)
            .await;
        let error = ServiceError::dps(
            fault.code(),
            fault.outside(),
            request_id.to_string(),
            self.dps.now(),
        );
        Answer::new(error.http_status(), fault.retry_after(), &error)
    }
}

impl Answer {
    fn new(status: u16, retry_after: Option<u32>, body: &impl Serialize) -> Self {
        Self {
            status,
            retry_after,
            // Serialising our own types fails only for maps with keys that are
            // not text; there are none.
            body: serde_json::to_vec(body).unwrap_or_default(),
        }
    }
}

impl DeviceSession for DpsSession {
    fn max_packet(&self) -> usize {
        MAX_PACKET
    }

    fn is_proven(&self) -> bool {
        self.proven
    }

    /// No device has a reason to stay.
    fn closed(&self) -> impl Future<Output = Close> + Send + 'static {
        let stays = self.stays.subscribe();
        async move {
            // Cancel-safe: both only wait, and neither is waited for again.
            tokio::select! {
                () = idle(stays) => Close::new(
                    "idle",
                    "nothing was asked of the provisioning service for a minute",
                ),
                () = tokio::time::sleep(LIFE) => Close::new(
                    "session_too_long",
                    "a provisioning session lasts ten minutes at most",
                ),
            }
        }
    }

    async fn subscribe(&mut self, filter: &str, _qos: QoS) -> SubscribeResult {
        if filter.eq_ignore_ascii_case(PROVISIONING_FILTER) {
            SubscribeResult::Granted(QoS::AtLeastOnce)
        } else {
            SubscribeResult::Refused
        }
    }

    async fn unsubscribe(&mut self, _filter: &str) {}

    async fn publish(
        &mut self,
        publish: Publish,
        replies: &mut Vec<Outgoing>,
    ) -> Result<(), Close> {
        let request = ProvisioningRequest::parse(&publish.topic).map_err(|error| {
            Close::new("topic", format!("a message to no topic of ours: {error}"))
        })?;
        let (rid, result) = match request {
            ProvisioningRequest::Register { rid } => (rid, self.register(&publish.payload).await),
            ProvisioningRequest::OperationStatus { rid, operation_id } => {
                (rid, self.poll(&operation_id).await)
            }
        };
        let answer = match result {
            Ok(answer) => {
                self.proven = true;
                self.stays.send_replace(IDLE);
                answer
            }
            Err(fault) => {
                // A client that is throttled may wait here.
                if let Some(seconds) = fault.retry_after() {
                    let wait = Duration::from_secs(seconds.into());
                    self.stays.send_replace(IDLE + wait);
                }
                self.fault(&fault).await
            }
        };
        let topic = ProvisioningResponse {
            status: answer.status,
            rid,
            retry_after: answer.retry_after,
        };
        replies.push(Outgoing {
            topic: topic.to_string(),
            payload: Bytes::from(answer.body),
            qos: QoS::AtLeastOnce,
            receipt: None,
        });
        Ok(())
    }

    /// Nothing of an earlier session is kept.
    fn session_present(&self) -> bool {
        false
    }

    fn delivered(&mut self, _number: i64) {}

    /// This service never speaks first.
    async fn next(&mut self) -> Outgoing {
        pending().await
    }

    async fn ended(self, how: Ending, _will: Option<Will>) {
        let id = &self.registration_id;
        match &how {
            // The outcome of the registration is logged where it is answered.
            Ending::Disconnect => tracing::debug!(
                registration.id = %id,
                "the provisioning session of {id} ended: {how}"
            ),
            Ending::Closed(close) => tracing::info!(
                registration.id = %id,
                reason.code = close.code,
                "the provisioning session of {id} ended: {how}"
            ),
        }
    }
}
