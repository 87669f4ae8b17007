//! The files that people hand to the command line: what is enrolled is what was given (P1, P10),
//! and what `az` users type is taken.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sim::{Server, Workshop};

struct Desk {
    server: Server,
    workshop: Workshop,
}

impl Desk {
    async fn start() -> Result<Self> {
        Ok(Self {
            server: Server::start().await?,
            workshop: Workshop::with_muster_ca()?,
        })
    }

    /// Writes a file and gives its path.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<String> {
        let path = self.workshop.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path.to_string_lossy().into_owned())
    }

    async fn dps(&self, line: &str) -> Result<Value> {
        self.server.muster(&format!("dps {line}")).await
    }

    /// A command that is refused before a server is asked; what it says.
    async fn refused(&self, line: &str) -> Result<String> {
        let refused = self.server.try_muster(&format!("dps {line}")).await?;
        assert_eq!(refused.code, Some(2), "{line}: {}", refused.stdout);
        Ok(refused.stderr)
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[tokio::test]
async fn a_file_with_several_certificates_is_refused_by_their_names_or_taken_whole() -> Result<()> {
    let desk = Desk::start().await?;
    let factory = read(&desk.workshop.intermediate())?;
    let root = read(&desk.workshop.root())?;
    let marked = desk.file("marked.pem", format!("\u{feff}{factory}{root}"))?;
    let both = desk.file("both.pem", format!("{factory}{root}"))?;
    for (number, file) in [&marked, &both].into_iter().enumerate() {
        let individual = "enrollment create --attestation-type x509";
        for create in [
            format!("enrollment-group create --enrollment-id g{number} --certificate-path"),
            format!("certificate create --certificate-name c{number} --verified --path"),
            format!("{individual} --enrollment-id e{number} --certificate-path"),
        ] {
            let said = desk
                .refused(&format!("{create} {file}"))
                .await?
                .to_lowercase();
            for named in ["2 certificates", "hub_intermediate_cert", "hub_ca_cert"] {
                assert!(said.contains(named), "{create}: {said}");
            }
        }
        let bundle = format!("trust-bundle create --trust-bundle-id b{number}");
        let made = desk
            .dps(&format!("{bundle} --certificate-path {file}"))
            .await?;
        let certificates = made["certificates"].as_array().map(Vec::len);
        assert_eq!(certificates, Some(2), "{made:#}");
    }
    // One certificate with a mark, or in UTF-16, is that certificate.
    let utf_16 = format!("\u{feff}{factory}");
    let utf_16: Vec<u8> = utf_16.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = desk.file("wide.pem", utf_16)?;
    let create = "enrollment-group create --enrollment-id wide --certificate-path";
    let made = desk.dps(&format!("{create} {wide}")).await?;
    let info = &made["attestation"]["x509"]["signingCertificates"]["primary"]["info"];
    let name = info["subjectName"].as_str().unwrap_or_default();
    assert!(name.contains("Intermediate"), "{made:#}");
    Ok(())
}

/// P1, P10: what is meant by the other files that people give.
#[tokio::test]
async fn a_full_chain_means_its_leaf_and_other_files_are_refused_by_what_they_are() -> Result<()> {
    let desk = Desk::start().await?;
    let device = desk.workshop.issue("dev-1")?;
    let create = "enrollment create --attestation-type x509 --enrollment-id dev-1";
    let chain = device.full_chain.display();
    let made = desk
        .dps(&format!("{create} --certificate-path {chain}"))
        .await?;
    let info = &made["attestation"]["x509"]["clientCertificates"]["primary"]["info"];
    assert_eq!(info["subjectName"], "CN=dev-1", "{made:#}");
    let create = "enrollment-group create --enrollment-id x --certificate-path";
    for (file, wanted) in [
        (desk.file("none.pem", "hello")?, "no certificate"),
        (device.key.to_string_lossy().into_owned(), "private key"),
        ("/no/such/file.pem".to_owned(), "cannot read"),
    ] {
        let said = desk.refused(&format!("{create} {file}")).await?;
        assert!(said.contains(wanted), "{said}");
    }
    Ok(())
}

/// R2: useless certificates are sent only when they are meant.
#[tokio::test]
async fn what_no_device_can_use_is_sent_when_it_is_meant() -> Result<()> {
    let desk = Desk::start().await?;
    let device = desk.workshop.issue("dev-1")?;
    let leaf = device.certificate.display();
    for (noun, id, flags, wanted) in [
        (
            "enrollment",
            "dev-2",
            "--attestation-type x509".to_owned(),
            "common name",
        ),
        (
            "enrollment",
            "dev-1",
            format!("--attestation-type x509 --secondary-certificate-path {leaf}"),
            "same certificate",
        ),
        (
            "enrollment-group",
            "factory",
            String::new(),
            "not a CA certificate",
        ),
    ] {
        let create =
            format!("{noun} create --enrollment-id {id} {flags} --certificate-path {leaf}");
        let said = desk.refused(&create).await?;
        assert!(
            said.contains(wanted) && said.contains("--allow-unusable"),
            "{said}"
        );
        desk.dps(&format!("{create} --allow-unusable")).await?;
        desk.dps(&format!("{noun} delete --enrollment-id {id}"))
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_az_users_type_is_taken() -> Result<()> {
    let desk = Desk::start().await?;
    let tags = desk.file("tags.json", "\u{feff}{\"site\": \"busan\"}")?;
    let create = "enrollment create --enrollment-id dev-1 --attestation-type symmetricKey \
                  --edge-enabled --provisioning-status Enabled \
                  --initial-twin-properties \"{'a': 1, 'b': True}\" --initial-twin-tags";
    let made = desk.dps(&format!("{create} {tags}")).await?;
    assert_eq!(made["capabilities"]["iotEdge"], true, "{made:#}");
    let twin = &made["initialTwin"];
    assert_eq!(twin["tags"], json!({"site": "busan"}), "{made:#}");
    assert_eq!(
        twin["properties"]["desired"],
        json!({"a": 1, "b": true}),
        "{made:#}"
    );
    for (flags, is_shown) in [
        ("--show-keys true", true),
        ("--show-keys", true),
        ("--show-keys False", false),
    ] {
        let show = "enrollment show --enrollment-id dev-1";
        let answer = desk.dps(&format!("{show} {flags}")).await?;
        let key = &answer["attestation"]["symmetricKey"]["primaryKey"];
        assert_eq!(key.is_string(), is_shown, "{flags}");
    }
    let update = "enrollment update --enrollment-id dev-1";
    let updated = desk.dps(&format!("{update} --edge-enabled False")).await?;
    assert_eq!(updated["capabilities"]["iotEdge"], false, "{updated:#}");

    let (root, middle) = (desk.workshop.root(), desk.workshop.intermediate());
    let second = format!("--secondary-certificate-path {}", middle.display());
    desk.server.enroll_group("factory", &root, &second).await?;
    let remove = "enrollment-group update --enrollment-id factory --remove-certificate true";
    let updated = desk.dps(remove).await?;
    let slots = &updated["attestation"]["x509"]["signingCertificates"];
    let one_is_left = slots["primary"].is_null() && slots["secondary"].is_object();
    assert!(one_is_left, "{updated:#}");
    desk.refused(&format!("{update} --initial-twin-tags no/such.json"))
        .await?;
    Ok(())
}
