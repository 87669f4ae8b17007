/// The MQTT subscriptions of a device or module that outlive its session (CleanSession 0): the QoS
/// of each, 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptSubscriptions {
    /// To cloud-to-device messages.
    pub messages: Option<u8>,
    /// To patches of desired properties.
    pub desired: Option<u8>,
    /// To direct methods.
    pub methods: Option<u8>,
    /// To answers to requests for another certificate.
    pub credentials: Option<u8>,
}
