//! The reason of each refusal of a TPM.

use ids::{IdScope, RegistrationId};
use software_tpm::SoftwareTpm;
use wire::device_api::register_request::TpmClaim;

use super::*;
use crate::registration::claim::{self, Evidence};
use crate::registration::presented::{Presented, Token};
use crate::registration::request::{Register, RegisterBody};

const NOW: i64 = 1_780_272_000;

/// A service, and a device that talks to it.
struct Story {
    scope: IdScope,
    id: RegistrationId,
    tpms: Tpms,
}

impl Story {
    fn begin() -> Self {
        Self {
            scope: IdScope::parse("0ne00000000").unwrap(),
            id: RegistrationId::parse("edge-1").unwrap(),
            tpms: Tpms::new(b"secret"),
        }
    }

    fn request<'a>(&'a self, presented: Presented<'a>) -> Register<'a> {
        Register {
            id_scope: &self.scope,
            registration_id: &self.id,
            presented,
            body: RegisterBody::default(),
        }
    }

    fn challenge(
        &self,
        claimed: &TpmClaim,
        enrolled: &TpmIdentity,
    ) -> Result<ActivationBlob, RefusalReason> {
        let presented = Presented {
            tpm: Some(claimed),
            ..Presented::default()
        };
        let claim = claim::read(&self.request(presented)).map_err(|r| r.reason)?;
        let Evidence::Tpm(claimed) = claim.evidence() else {
            panic!("a TPM was presented");
        };
        let challenge = self.tpms.challenge(&claim, claimed, enrolled, now(0))?;
        Ok(challenge.sealed)
    }

    /// The second request, `late` seconds after the first.
    fn answer(
        &self,
        key: &SharedAccessKey,
        enrolled: &TpmIdentity,
        late: i64,
    ) -> Result<TpmProof, RefusalReason> {
        let resource = format!("{}/registrations/{}", self.scope, self.id);
        let token = wire::sas::build(&resource, Some("registration"), now(30), key);
        let presented = Presented {
            token: Token::from_text(&token),
            ..Presented::default()
        };
        let claim = claim::read(&self.request(presented)).map_err(|r| r.reason)?;
        let Evidence::Token(token) = claim.evidence() else {
            panic!("a token was presented");
        };
        self.tpms.by_token(&claim, token, enrolled, now(late))
    }
}

fn now(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW + seconds)
}

fn claim_of(tpm: &SoftwareTpm) -> TpmClaim {
    TpmClaim {
        endorsement_key: tpm.endorsement_key().into(),
        storage_root_key: Some(tpm.storage_root_key().into()),
    }
}

fn key_in(tpm: &SoftwareTpm, blob: &ActivationBlob) -> SharedAccessKey {
    let (key, _) = tpm.activate(blob.as_bytes()).unwrap();
    SharedAccessKey::from_bytes(key).unwrap()
}

#[test]
fn each_cause_has_its_own_code() {
    let (tpm, other) = (SoftwareTpm::new(), SoftwareTpm::new());
    let story = Story::begin();
    let enrolled = TpmIdentity::parse(&tpm.endorsement_key(), None).unwrap();
    let pinned = TpmIdentity::claimed(&claim_of(&tpm)).unwrap();
    let claimed = claim_of(&tpm);
    let other_root = TpmClaim {
        storage_root_key: claim_of(&other).storage_root_key,
        ..claimed.clone()
    };
    let no_root = TpmClaim {
        storage_root_key: None,
        ..claimed.clone()
    };
    let garbage = TpmClaim {
        storage_root_key: Some(b"no key".to_vec().into()),
        ..claimed.clone()
    };
    let code = |outcome: Result<ActivationBlob, RefusalReason>| outcome.unwrap_err().code();
    let of_other = code(story.challenge(&claim_of(&other), &enrolled));
    assert_eq!(of_other, "tpm_ek_mismatch");
    assert_eq!(
        code(story.challenge(&other_root, &pinned)),
        "tpm_srk_mismatch"
    );
    assert_eq!(code(story.challenge(&no_root, &enrolled)), "tpm_srk_absent");
    assert_eq!(
        code(story.challenge(&garbage, &enrolled)),
        "tpm_key_unsupported"
    );

    let wrong = SharedAccessKey::from_bytes(vec![7; 32]).unwrap();
    let code = |outcome: Result<TpmProof, RefusalReason>| outcome.unwrap_err().code();
    let unasked = code(story.answer(&wrong, &enrolled, 0));
    assert_eq!(unasked, "tpm_not_challenged");
    let key = key_in(&tpm, &story.challenge(&claimed, &enrolled).unwrap());
    let by_other = code(story.answer(&wrong, &enrolled, 0));
    assert_eq!(by_other, "tpm_challenge_failed");
    assert_eq!(code(story.answer(&key, &enrolled, 331)), "token_expired");
    assert!(story.answer(&key, &enrolled, 299).is_ok());
}

/// Somebody who knows the endorsement key presents other storage root keys between the
/// two requests of a device.
#[test]
fn keys_that_a_meddler_presents_do_not_confuse_the_device() {
    let tpm = SoftwareTpm::new();
    let story = Story::begin();
    let enrolled = TpmIdentity::parse(&tpm.endorsement_key(), None).unwrap();
    let key = key_in(&tpm, &story.challenge(&claim_of(&tpm), &enrolled).unwrap());
    for _ in 0..3 {
        let meddling = TpmClaim {
            storage_root_key: Some(SoftwareTpm::new().storage_root_key().into()),
            ..claim_of(&tpm)
        };
        story.challenge(&meddling, &enrolled).unwrap();
    }
    let proof = story.answer(&key, &enrolled, 1).unwrap();
    // It is sealed for the storage root key of the device.
    let hub = key_in(&tpm, &proof.sealed);
    assert_eq!(proof.keys.primary.reveal(), hub.to_base64().as_str());
}
