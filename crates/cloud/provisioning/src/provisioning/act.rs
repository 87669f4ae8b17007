//! What operators of a provisioning service do.

registry::operator_acts! {
    /// An individual enrollment or a group is written.
    PutEnrollment = "enrollment.put",
    /// An individual enrollment or a group is deleted.
    DeleteEnrollment = "enrollment.delete",
    /// The keys of an enrollment are shown.
    ReadEnrollmentKeys = "enrollment.keys.read",
    /// The record of a registration is deleted.
    DeleteRegistration = "registration.delete",
    /// A device is shut out everywhere.
    BlockDevice = "device.block",
    /// A block is removed.
    UnblockDevice = "device.unblock",
    /// A CA certificate is uploaded, replaced, or declared verified.
    PutCaCertificate = "authority.put",
    /// A CA certificate is deleted.
    DeleteCaCertificate = "authority.delete",
    /// A verification code is handed out.
    NewVerificationCode = "authority.verificationCode",
    /// Possession of a CA's key is proven.
    VerifyCaCertificate = "authority.verify",
    /// An issuer of device certificates is made.
    CreateIssuer = "issuer.create",
    /// The settings of an issuer are changed.
    UpdateIssuer = "issuer.update",
    /// An issuer is deleted.
    DeleteIssuer = "issuer.delete",
    /// A user of an issuer is made.
    CreateIssuerUser = "issuer.user.create",
    /// A user of an issuer gets another password.
    ResetIssuerUser = "issuer.user.reset",
    /// A user of an issuer is deleted.
    DeleteIssuerUser = "issuer.user.delete",
    /// An issuer begins to go over to another CA.
    StartRoll = "issuer.roll.start",
    /// The old CA of an issuer is admitted no more.
    FinishRoll = "issuer.roll.finish",
    /// An issuer goes back to its old CA.
    AbandonRoll = "issuer.roll.abandon",
    /// An issuer trusts one more CA certificate, or one less.
    SetIssuerTrusts = "issuer.trusts",
    /// A certificate of an issuer is revoked or put on hold.
    RevokeCertificate = "certificate.revoke",
    /// A certificate is no longer on hold.
    RestoreCertificate = "certificate.restore",
    /// A revocation list of another CA is followed, or followed otherwise.
    PutRevocationList = "revocationList.put",
    /// A revocation list is uploaded.
    UploadRevocationList = "revocationList.upload",
    /// A revocation list is deleted.
    DeleteRevocationList = "revocationList.delete",
    /// A trust bundle is written.
    PutTrustBundle = "trustBundle.put",
    /// A trust bundle is deleted.
    DeleteTrustBundle = "trustBundle.delete",
    /// A provisioning service is made.
    CreateService = "service.create",
    /// How a service chooses hubs is changed.
    SetAllocationPolicy = "service.allocationPolicy",
    /// The keys of a service are shown.
    ReadServiceKeys = "service.keys.read",
    /// A shared access policy is made.
    CreatePolicy = "policy.create",
    /// A key of a policy is replaced.
    RegeneratePolicyKey = "policy.regenerateKey",
    /// A policy is deleted.
    DeletePolicy = "policy.delete",
    /// The keys of a policy are shown.
    ReadPolicyKeys = "policy.keys.read",
    /// The key that signs requests to webhooks is shown.
    ReadWebhookKey = "webhook.key.read",
    /// A webhook is asked again what it was asked before.
    ReplayAllocation = "allocation.replay",
    /// A hub is linked to a service, or its link changed.
    LinkHub = "hub.link",
    /// A link is taken away.
    UnlinkHub = "hub.unlink",
}
