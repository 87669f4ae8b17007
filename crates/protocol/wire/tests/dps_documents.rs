//! The documents of the provisioning service, byte for byte as they are sent, and read back as our
//! own devices and tools read them. A difference here is a change for every client.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

use ids::{
    CertificatePolicyName, DeviceId, EnrollmentId, Etag, HubHost, IssuerName, NamespaceName,
    RegistrationId, Timestamp, TrustBundleId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use wire::certificate_info::CertificateInfo;
use wire::device_api::registration::{
    AttestationDetail, OperationStatus, RegistrationState, RegistrationStatus, Substatus,
    X509Result,
};
use wire::etag::QuotedEtag;
use wire::initial_twin::{InitialProperties, InitialTwin};
use wire::muster_api::trust_bundle::{TrustBundle, TrustedCertificate};
use wire::service_api::enrollment::{
    AllocationPolicy, Attestation, CertificatePair, CertificateWithInfo, EnrollmentGroup,
    GroupRequest, IndividualEnrollment, IndividualRequest, ProvisioningStatus, RecordVersion,
    ReprovisionPolicy, Settings, X509Attestation,
};
use wire::service_api::identity::Capabilities;

fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(document: &T, golden: &str) {
    let found = serde_json::to_string_pretty(document).unwrap();
    assert_eq!(found.trim(), golden.trim(), "found:\n{found}");
    let read: T = serde_json::from_str(golden).unwrap();
    assert_eq!(&read, document);
}

fn moment() -> Timestamp {
    Timestamp::parse("2026-01-02T03:04:05.6789012Z").unwrap()
}

fn id() -> RegistrationId {
    RegistrationId::parse("edge-001").unwrap()
}

fn certificate(subject: &str) -> CertificateInfo {
    CertificateInfo {
        subject_name: subject.to_owned(),
        sha1_thumbprint: "0A".repeat(20),
        sha256_thumbprint: "0B".repeat(32),
        issuer_name: "CN=root".to_owned(),
        not_before_utc: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
        not_after_utc: Timestamp::parse("2027-01-01T00:00:00Z").unwrap(),
        serial_number: "4C".to_owned(),
        version: 3,
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn settings(x509: X509Attestation) -> Settings {
    Settings {
        attestation: Attestation::X509 {
            x509: Box::new(x509),
        },
        capabilities: Capabilities { iot_edge: true },
        initial_twin: InitialTwin {
            tags: object(json!({"environment": "test"})),
            properties: InitialProperties::default(),
        },
        provisioning_status: ProvisioningStatus::Enabled,
        reprovision_policy: ReprovisionPolicy::default(),
        allocation_policy: Some(AllocationPolicy::Hashed),
        iot_hubs: vec![HubHost::parse("hub.example:8443").unwrap()],
        custom_allocation_definition: None,
        certificate_authority_name: None,
        certificate_policy_name: None,
        namespace_name: None,
        client_certificate_issuance_policy: None,
        trust_bundle_id: None,
    }
}

fn pair(subject: &str) -> CertificatePair {
    CertificatePair {
        primary: Some(CertificateWithInfo {
            info: certificate(subject),
        }),
        secondary: None,
    }
}

fn version() -> Option<RecordVersion> {
    Some(RecordVersion {
        etag: QuotedEtag(Etag::parse("13003fea-0000").unwrap()),
        created_date_time_utc: moment(),
        last_updated_date_time_utc: moment(),
    })
}

fn assigned() -> RegistrationState {
    RegistrationState {
        created_date_time_utc: Some(moment()),
        assigned_hub: Some(HubHost::parse("hub.example").unwrap()),
        device_id: Some(DeviceId::parse("edge-001").unwrap()),
        substatus: Some(Substatus::InitialAssignment),
        last_updated_date_time_utc: Some(moment()),
        etag: Some("IjY5MDAi".to_owned()),
        detail: AttestationDetail {
            x509: Some(X509Result {
                certificate_info: Some(certificate("CN=edge-001")),
                enrollment_group_id: Some(EnrollmentId::parse("site-a").unwrap()),
                signing_certificate_info: None,
            }),
            ..AttestationDetail::default()
        },
        ..RegistrationState::bare(id(), RegistrationStatus::Assigned)
    }
}

/// What a device is told that asked for a certificate, in the words of both preview api-versions.
fn issued() -> RegistrationState {
    RegistrationState {
        detail: AttestationDetail {
            issued_certificate_chain: vec![b"leaf".to_vec().into(), b"ca".to_vec().into()],
            issued_client_certificate: Some("PEM".to_owned()),
            ..AttestationDetail::default()
        },
        trust_bundle: Some(TrustBundle {
            certificates: vec![TrustedCertificate {
                certificate: "PEM".to_owned(),
                metadata: certificate("CN=root"),
            }],
            id: TrustBundleId::parse("site").unwrap(),
            created_date_time: moment(),
            last_modified_date_time: moment(),
            etag: QuotedEtag(Etag::parse("13003fea-0000").unwrap()),
        }),
        ..RegistrationState::bare(id(), RegistrationStatus::Assigned)
    }
}

#[test]
fn an_enrollment_names_what_issues_and_what_is_trusted() {
    let document = EnrollmentGroup {
        enrollment_group_id: EnrollmentId::parse("site-a").unwrap(),
        settings: Settings {
            certificate_authority_name: Some(IssuerName::parse("fleet").unwrap()),
            certificate_policy_name: Some(CertificatePolicyName::parse("days-90").unwrap()),
            namespace_name: Some(NamespaceName::parse("plant").unwrap()),
            trust_bundle_id: Some(TrustBundleId::parse("site").unwrap()),
            ..settings(X509Attestation::SigningCertificates(pair("CN=root")))
        },
        version: version(),
    };
    same(&document, include_str!("golden/enrollment_issuing.json"));
    let echoed = serde_json::to_value(&document).unwrap();
    let read = GroupRequest::parse(&echoed).unwrap().settings;
    let issuer = read.issuer.unwrap();
    assert_eq!(Some(&issuer.issuer), document.settings.issuer());
    assert_eq!(issuer.policy, document.settings.certificate_policy_name);
    assert_eq!(issuer.namespace, document.settings.namespace_name);
    assert_eq!(read.trust_bundle_id, document.settings.trust_bundle_id);
}

/// Enrollments that were stored before the members of 2026-11-01 were known.
#[test]
fn stored_enrollments_keep_their_issuer() {
    let document = EnrollmentGroup {
        enrollment_group_id: EnrollmentId::parse("site-a").unwrap(),
        settings: settings(X509Attestation::SigningCertificates(pair("CN=root"))),
        version: None,
    };
    let policy = json!({"certificateAuthorityName": "fleet"});
    for members in [
        json!({"credentialPolicyName": "fleet"}),
        json!({"clientCertificateIssuancePolicy": policy}),
        json!({"clientCertificateIssuancePolicy": policy, "credentialPolicyName": "fleet"}),
        json!({"certificateAuthorityName": "fleet"}),
    ] {
        let mut stored = serde_json::to_value(&document).unwrap();
        stored.as_object_mut().unwrap().extend(object(members));
        let read: EnrollmentGroup = serde_json::from_value(stored).unwrap();
        assert_eq!(read.settings.issuer().unwrap().as_str(), "fleet");
    }
}

#[test]
fn an_individual_enrollment() {
    let document = IndividualEnrollment {
        registration_id: id(),
        device_id: Some(DeviceId::parse("press-7").unwrap()),
        registration_state: Some(RegistrationState::bare(
            id(),
            RegistrationStatus::Unassigned,
        )),
        optional_device_information: Some(json!({"line": 4})),
        settings: settings(X509Attestation::ClientCertificates(pair("CN=edge-001"))),
        version: version(),
    };
    same(&document, include_str!("golden/individual_enrollment.json"));
    let echoed = serde_json::to_value(&document).unwrap();
    assert!(
        IndividualRequest::parse(&echoed).is_ok(),
        "clients echo what they read"
    );
}

#[test]
fn an_enrollment_group() {
    let document = EnrollmentGroup {
        enrollment_group_id: EnrollmentId::parse("site-a").unwrap(),
        settings: settings(X509Attestation::SigningCertificates(pair("CN=root"))),
        version: version(),
    };
    same(&document, include_str!("golden/enrollment_group.json"));
    let echoed = serde_json::to_value(&document).unwrap();
    assert!(
        GroupRequest::parse(&echoed).is_ok(),
        "clients echo what they read"
    );
}

#[test]
fn an_operation_from_beginning_to_end() {
    let operation = || "5.316aac5bdc130deb.b1e02da8-0000-4000-8000-000000000000".to_owned();
    let assigning = OperationStatus::assigning(operation(), id());
    same(&assigning, include_str!("golden/operation_assigning.json"));
    let finished = OperationStatus::finished(operation(), assigned());
    same(&finished, include_str!("golden/operation_assigned.json"));
    let finished = OperationStatus::finished(operation(), issued());
    same(&finished, include_str!("golden/operation_issued.json"));
    let mut failed = RegistrationState::bare(id(), RegistrationStatus::Failed);
    failed.error_code = Some(404_210);
    failed.error_message = Some("no hub is linked".to_owned());
    let failed = OperationStatus::finished(operation(), failed);
    same(&failed, include_str!("golden/operation_failed.json"));
}
