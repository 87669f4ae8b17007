//! The files that people hand to the command line: what is enrolled is what was given (P1, P10), and what `az` users type is taken.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sim::{Finished, Server, Workshop};

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

    fn dps(&self, arguments: &str, file: &[&str]) -> Result<Finished> {
        let mut all = vec!["dps"];
        all.extend(arguments.split_whitespace());
        all.extend(file);
        self.server.run_muster(&all)
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[tokio::test]
async fn a_file_with_several_certificates_is_refused_by_their_names_or_taken_whole() -> Result<()> {
    let desk = Desk::start().await?;
    let (factory, root) = (
        read(&desk.workshop.intermediate())?,
        read(&desk.workshop.root())?,
    );
    let marked = desk.file("marked.pem", format!("\u{feff}{factory}{root}"))?;
    let both = desk.file("both.pem", format!("{factory}{root}"))?;
    for (number, file) in [&marked, &both].into_iter().enumerate() {
        for create in [
            format!("enrollment-group create --enrollment-id g{number} --certificate-path"),
            format!("certificate create --certificate-name c{number} --verified --path"),
            format!(
                "enrollment create --attestation-type x509 --enrollment-id e{number} --certificate-path"
            ),
        ] {
            let refused = desk.dps(&create, &[file])?;
            assert_eq!(refused.code, Some(2), "{create}: {}", refused.stdout);
            for named in ["2 certificates", "Hub_Intermediate_Cert", "Hub_CA_Cert"] {
                assert!(
                    refused
                        .stderr
                        .to_lowercase()
                        .contains(&named.to_lowercase()),
                    "{create}: {}",
                    refused.stderr
                );
            }
        }
        let bundle = format!("trust-bundle create --trust-bundle-id b{number} --certificate-path");
        let made = desk.dps(&bundle, &[file])?.json()?;
        assert_eq!(
            made["certificates"].as_array().map(Vec::len),
            Some(2),
            "{made:#}"
        );
    }
    // One certificate with a mark, or in UTF-16, is that certificate.
    let utf_16: Vec<u8> = format!("\u{feff}{factory}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let wide = desk.file("wide.pem", utf_16)?;
    let made = desk
        .dps(
            "enrollment-group create --enrollment-id wide --certificate-path",
            &[&wide],
        )?
        .json()?;
    let info = &made["attestation"]["x509"]["signingCertificates"]["primary"]["info"];
    assert!(
        info["subjectName"]
            .as_str()
            .is_some_and(|name| name.contains("Intermediate")),
        "{made:#}"
    );
    Ok(())
}

/// P1, P10: what is meant by the other files that people give.
#[tokio::test]
async fn a_full_chain_means_its_leaf_and_other_files_are_refused_by_what_they_are() -> Result<()> {
    let desk = Desk::start().await?;
    let device = desk.workshop.issue("dev-1")?;
    let chain = device.full_chain.to_string_lossy();
    let made = desk
        .dps(
            "enrollment create --attestation-type x509 --enrollment-id dev-1 --certificate-path",
            &[&chain],
        )?
        .json()?;
    let info = &made["attestation"]["x509"]["clientCertificates"]["primary"]["info"];
    assert_eq!(info["subjectName"], "CN=dev-1", "{made:#}");
    for (file, said) in [
        (desk.file("none.pem", "hello")?, "no certificate"),
        (device.key.to_string_lossy().into_owned(), "private key"),
        ("/no/such/file.pem".to_owned(), "cannot read"),
    ] {
        let refused = desk.dps(
            "enrollment-group create --enrollment-id x --certificate-path",
            &[&file],
        )?;
        assert_eq!(refused.code, Some(2), "{}", refused.stdout);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    Ok(())
}

/// R2: useless certificates are sent only when they are meant.
#[tokio::test]
async fn what_no_device_can_use_is_sent_when_it_is_meant() -> Result<()> {
    let desk = Desk::start().await?;
    let device = desk.workshop.issue("dev-1")?;
    let leaf = device.certificate.to_string_lossy().into_owned();
    for (create, more, said) in [
        (
            "enrollment create --attestation-type x509 --enrollment-id dev-2",
            vec![],
            "common name",
        ),
        (
            "enrollment create --attestation-type x509 --enrollment-id dev-1",
            vec!["--secondary-certificate-path", &leaf],
            "same certificate",
        ),
        (
            "enrollment-group create --enrollment-id factory",
            vec![],
            "not a CA certificate",
        ),
    ] {
        let mut files = vec!["--certificate-path", leaf.as_str()];
        files.extend(more);
        let refused = desk.dps(create, &files)?;
        assert_eq!(refused.code, Some(2), "{create}: {}", refused.stdout);
        assert!(
            refused.stderr.contains(said) && refused.stderr.contains("--allow-unusable"),
            "{}",
            refused.stderr
        );
        files.push("--allow-unusable");
        desk.dps(create, &files)?.ok()?;
        let id = create.rsplit(' ').next().unwrap_or_default();
        let noun = create.split(' ').next().unwrap_or_default();
        desk.dps(&format!("{noun} delete --enrollment-id {id}"), &[])?
            .ok()?;
    }
    Ok(())
}

#[tokio::test]
async fn what_az_users_type_is_taken() -> Result<()> {
    let desk = Desk::start().await?;
    let tags = desk.file("tags.json", "\u{feff}{\"site\": \"busan\"}")?;
    let made = desk
        .dps(
            "enrollment create --enrollment-id dev-1 --attestation-type symmetricKey --edge-enabled --provisioning-status Enabled --initial-twin-tags",
            &[&tags, "--initial-twin-properties", "{'a': 1, 'b': True}"],
        )?
        .json()?;
    assert_eq!(made["capabilities"]["iotEdge"], true, "{made:#}");
    assert_eq!(
        made["initialTwin"]["tags"],
        json!({"site": "busan"}),
        "{made:#}"
    );
    assert_eq!(
        made["initialTwin"]["properties"]["desired"],
        json!({"a": 1, "b": true}),
        "{made:#}"
    );
    let shown = |flags: &str| -> Result<Value> {
        let shown = desk
            .dps(
                &format!("enrollment show --enrollment-id dev-1 {flags}"),
                &[],
            )?
            .json()?;
        Ok(shown["attestation"]["symmetricKey"]["primaryKey"].clone())
    };
    assert!(shown("--show-keys true")?.is_string() && shown("--show-keys")?.is_string());
    assert!(!shown("--show-keys False")?.is_string());
    let updated = desk
        .dps(
            "enrollment update --enrollment-id dev-1 --edge-enabled False",
            &[],
        )?
        .json()?;
    assert_eq!(updated["capabilities"]["iotEdge"], false, "{updated:#}");

    let root = desk.workshop.root().to_string_lossy().into_owned();
    let middle = desk.workshop.intermediate().to_string_lossy().into_owned();
    let files = [
        "--certificate-path",
        root.as_str(),
        "--secondary-certificate-path",
        middle.as_str(),
    ];
    desk.dps("enrollment-group create --enrollment-id factory", &files)?
        .ok()?;
    let updated = desk
        .dps(
            "enrollment-group update --enrollment-id factory --remove-certificate true",
            &[],
        )?
        .json()?;
    let slots = &updated["attestation"]["x509"]["signingCertificates"];
    assert!(
        slots["primary"].is_null() && slots["secondary"].is_object(),
        "{updated:#}"
    );
    let wrong = desk.dps(
        "enrollment update --enrollment-id dev-1 --initial-twin-tags",
        &["no/such.json"],
    )?;
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    Ok(())
}
