//! TPM commands against a software TPM, beside what tpm2-tools make of the same TPM.

use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::signature;
use pki::tpm::{EndorsementKey, HmacKey, StorageRootKey};
use pki::{RsaHash, SignatureScheme};
use sim::Tpm as Simulator;
use tpm::{Authorization, KeyPlace, NewKey, Tpm, TpmError, TpmSettings, WrappedKey};

fn device(simulator: &Simulator) -> Result<Tpm> {
    Ok(Tpm::new(settings(simulator)?))
}

fn settings(simulator: &Simulator) -> Result<TpmSettings> {
    Ok(TpmSettings {
        tcti: simulator.tcti().parse()?,
        ..TpmSettings::default()
    })
}

/// A key as a provisioning service seals it for the TPM.
fn sealed(tpm: &Tpm, key: [u8; 32]) -> Result<Vec<u8>> {
    let public = tpm.public_keys()?;
    let endorsement = EndorsementKey::parse(&public.endorsement)?;
    let storage_root = StorageRootKey::parse(&public.storage_root)?;
    let blob = HmacKey::new(key).seal(&endorsement, &storage_root, "scope/registrations/a")?;
    Ok(blob.as_bytes().to_vec())
}

fn tag(key: [u8; 32], data: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    aws_lc_rs::hmac::sign(&key, data).as_ref().to_vec()
}

/// Nothing stays loaded in the TPM.
fn require_empty(simulator: &Simulator) -> Result<()> {
    for kind in ["handles-transient", "handles-loaded-session"] {
        let loaded = simulator.output("getcap", &[kind])?;
        ensure!(loaded.trim().is_empty(), "{kind}: {loaded}");
    }
    Ok(())
}

#[tokio::test]
async fn tpm_keys_are_those_that_tpm2_tools_make() -> Result<()> {
    let simulator = Simulator::start().await?;
    let tpm = device(&simulator)?;
    let about = tpm.about()?;
    ensure!(
        about.manufacturer == "IBM" && !about.is_locked_out,
        "{about}"
    );
    let ours = tpm.public_keys()?;
    simulator.tool("createek", &["-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub"])?;
    simulator.tool("flushcontext", &["-t"])?;
    ensure!(
        ours.endorsement == simulator.read("ek.pub")?,
        "the endorsement key differs"
    );
    simulator.tool("readpublic", &["-c", "0x81000001", "-o", "srk.pub"])?;
    ensure!(
        ours.storage_root == simulator.read("srk.pub")?,
        "the storage root key"
    );
    // They are kept, and found the next time.
    let kept = simulator.output("getcap", &["handles-persistent"])?;
    ensure!(
        kept.contains("0x81010001") && kept.contains("0x81000001"),
        "{kept}"
    );
    ensure!(tpm.public_keys()? == ours);
    require_empty(&simulator)
}

#[tokio::test]
async fn tpm_keys_of_either_kind_import_what_a_service_sealed() -> Result<()> {
    for keys in [sim::TpmKeys::Rsa, sim::TpmKeys::Ecc] {
        let simulator = Simulator::start().await?;
        simulator.make_keys(keys)?;
        let tpm = device(&simulator)?;
        let first = tpm.import(&sealed(&tpm, [1; 32])?)?;
        let second = tpm.import(&sealed(&tpm, [2; 32])?)?;
        let long = vec![7; 5000];
        for data in [&b"hub/devices/a\n4102444800"[..], &long, b""] {
            ensure!(tpm.sign(&first, data)?.to_vec() == tag([1; 32], data));
        }
        tpm.persist(&first)?;
        ensure!(tpm.sign_with_persistent(b"x")?.to_vec() == tag([1; 32], b"x"));
        // A later key works before it takes the place of the first.
        ensure!(tpm.sign(&second, b"x")?.to_vec() == tag([2; 32], b"x"));
        tpm.persist(&second)?;
        tpm.persist(&second)?;
        ensure!(tpm.sign_with_persistent(b"x")?.to_vec() == tag([2; 32], b"x"));
        ensure!(tpm.sign(&first, b"x")?.to_vec() == tag([1; 32], b"x"));
        require_empty(&simulator)?;
    }
    Ok(())
}

#[tokio::test]
async fn tpm_whose_ownership_was_cleared_says_what_to_do() -> Result<()> {
    let simulator = Simulator::start().await?;
    let tpm = device(&simulator)?;
    let key = tpm.import(&sealed(&tpm, [1; 32])?)?;
    tpm.persist(&key)?;
    simulator.tool("clear", &[])?;
    for error in [tpm.sign(&key, b"x"), tpm.sign_with_persistent(b"x")] {
        let error = error.err().context("it signed")?;
        ensure!(error.key_is_lost(), "{error:?}");
        ensure!(
            error.to_string().contains("iotedge system reprovision"),
            "{error}"
        );
    }
    let again = tpm.import(&sealed(&tpm, [3; 32])?)?;
    ensure!(tpm.sign(&again, b"x")?.to_vec() == tag([3; 32], b"x"));
    // A blob for another TPM, or one that was altered.
    let other = Simulator::start().await?;
    let for_other = sealed(&device(&other)?, [1; 32])?;
    let mut altered = sealed(&tpm, [1; 32])?;
    altered[10] ^= 1;
    for blob in [for_other, altered] {
        ensure!(matches!(tpm.import(&blob), Err(TpmError::Refused { .. })));
    }
    require_empty(&simulator)
}

#[tokio::test]
async fn tpm_keys_for_certificates_sign_with_every_scheme_of_tls() -> Result<()> {
    let simulator = Simulator::start().await?;
    let tpm = device(&simulator)?;
    for (kind, handle) in [(NewKey::P256, 0x8102_0000), (NewKey::Rsa2048, 0x8102_0001)] {
        let wrapped = tpm.create_key(kind)?;
        let read = WrappedKey::from_pem(&wrapped.to_pem())?;
        ensure!(read == wrapped);
        tpm.persist_key(&wrapped, handle)?;
        for place in [KeyPlace::Persistent(handle), KeyPlace::Wrapped(wrapped)] {
            let signer = tpm.signing_key(place)?.into_signer();
            let public = signer.public_key();
            for scheme in SignatureScheme::of_key(public.kind()) {
                let signed = signer.sign(*scheme, b"message")?;
                let verifier: &dyn signature::VerificationAlgorithm = match scheme {
                    SignatureScheme::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
                    SignatureScheme::RsaPkcs1(RsaHash::Sha256) => {
                        &signature::RSA_PKCS1_2048_8192_SHA256
                    }
                    SignatureScheme::RsaPkcs1(RsaHash::Sha384) => {
                        &signature::RSA_PKCS1_2048_8192_SHA384
                    }
                    SignatureScheme::RsaPkcs1(RsaHash::Sha512) => {
                        &signature::RSA_PKCS1_2048_8192_SHA512
                    }
                    SignatureScheme::RsaPss(RsaHash::Sha256) => {
                        &signature::RSA_PSS_2048_8192_SHA256
                    }
                    SignatureScheme::RsaPss(RsaHash::Sha384) => {
                        &signature::RSA_PSS_2048_8192_SHA384
                    }
                    SignatureScheme::RsaPss(RsaHash::Sha512) => {
                        &signature::RSA_PSS_2048_8192_SHA512
                    }
                    other => bail!("{other:?}"),
                };
                let key = signature::UnparsedPublicKey::new(verifier, public.bits());
                ensure!(key.verify(b"message", &signed).is_ok(), "{scheme:?}");
            }
        }
    }
    let missing = tpm.signing_key(KeyPlace::Persistent(0x8102_0009));
    ensure!(matches!(missing, Err(TpmError::NoKey(_))));
    let storage = tpm.signing_key(KeyPlace::Persistent(0x8100_0001)).err();
    let storage = storage.context("a storage key signs")?;
    ensure!(
        format!("{storage:?}").contains("DoesNotSign"),
        "{storage:?}"
    );
    require_empty(&simulator)
}

/// Keys of tpm2-tools have a scheme, and the TPM pads.
#[tokio::test]
async fn tpm_keys_of_tpm2_tools_sign_or_say_why_not() -> Result<()> {
    let simulator = Simulator::start().await?;
    let tpm = device(&simulator)?;
    tpm.public_keys()?;
    let key = [
        "-C",
        "0x81000001",
        "-G",
        "rsa2048:rsassa",
        "-u",
        "k.pub",
        "-r",
        "k.priv",
    ];
    simulator.tool("create", &key)?;
    simulator.tool("flushcontext", &["-t"])?;
    let load = [
        "-C",
        "0x81000001",
        "-u",
        "k.pub",
        "-r",
        "k.priv",
        "-c",
        "k.ctx",
    ];
    simulator.tool("load", &load)?;
    simulator.tool("evictcontrol", &["-C", "o", "-c", "k.ctx", "0x81000007"])?;
    simulator.tool("flushcontext", &["-t"])?;
    let signer = tpm
        .signing_key(KeyPlace::Persistent(0x8100_0007))?
        .into_signer();
    let pkcs1 = SignatureScheme::RsaPkcs1(RsaHash::Sha256);
    let signed = signer.sign(pkcs1, b"m")?;
    let bits = signer.public_key().bits();
    let key = signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, bits);
    ensure!(key.verify(b"m", &signed).is_ok());
    let pss = signer.sign(SignatureScheme::RsaPss(RsaHash::Sha256), b"m");
    ensure!(pss.is_err(), "a key of PKCS#1 signed with PSS");
    require_empty(&simulator)
}

#[tokio::test]
async fn tpm_with_authorization_values_is_used_with_them_only() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator.tool("changeauth", &["-c", "o", "owner-secret"])?;
    simulator.tool("changeauth", &["-c", "e", "endorsement-secret"])?;
    let refused = device(&simulator)?
        .public_keys()
        .err()
        .context("no refusal")?;
    let refused = refused.to_string();
    ensure!(
        refused.contains("[tpm.hierarchy_authorization]"),
        "{refused}"
    );
    let mut settings = settings(&simulator)?;
    settings.owner = Authorization::new("owner-secret");
    settings.endorsement = Authorization::new("endorsement-secret");
    let tpm = Tpm::new(settings);
    let key = tpm.import(&sealed(&tpm, [1; 32])?)?;
    tpm.persist(&key)?;
    ensure!(tpm.sign_with_persistent(b"x")?.to_vec() == tag([1; 32], b"x"));
    require_empty(&simulator)
}

#[tokio::test]
async fn tpm_that_is_full_of_what_others_left_is_used() -> Result<()> {
    let simulator = Simulator::not_started().await?;
    let tpm = device(&simulator)?;
    // Starts it.
    tpm.public_keys()?;
    for session in 0..3 {
        let file = format!("left-{session}");
        simulator.tool("startauthsession", &["--policy-session", "-S", &file])?;
        simulator.tool("createprimary", &["-C", "o", "-G", "ecc", "-c", &file])?;
    }
    let key = tpm.import(&sealed(&tpm, [1; 32])?)?;
    ensure!(tpm.sign(&key, b"x")?.to_vec() == tag([1; 32], b"x"));
    Ok(())
}

#[tokio::test]
async fn tpm_that_is_not_there_is_named_by_its_tcti() -> Result<()> {
    let mut simulator = Simulator::start().await?;
    let tpm = device(&simulator)?;
    simulator.kill()?;
    let gone = tpm.about().err().context("it answers")?;
    ensure!(gone.to_string().contains(&simulator.tcti()), "{gone}");
    ensure!(gone.is_transient());
    for (tcti, wanted) in [
        ("device:/dev/no-such-tpm", "there is no such device"),
        (
            "swtpm:path=/nowhere/tpm.sock",
            "swtpm:path=/nowhere/tpm.sock",
        ),
        ("device:/dev/null", "cannot be reached"),
    ] {
        let tpm = Tpm::new(TpmSettings {
            tcti: tcti.parse()?,
            ..TpmSettings::default()
        });
        let error = tpm.about().err().context("it answers")?.to_string();
        ensure!(error.contains(wanted) && error.contains(tcti), "{error}");
    }
    Ok(())
}
