//! Routes, endpoints and enrichments of a hub: parts of one document, which a command reads,
//! changes and writes back unless somebody else changed it in between.

pub mod endpoint;
pub mod enrichment;
pub mod route;

use reqwest::Method;
use wire::muster_api::routing::Routing;

use crate::cli::Invocation;
use crate::service_client::{Call, CommandError, Service, ServiceClient, header_text};

const PATH: [&str; 4] = ["muster", "v1", "hub", "routing"];

/// The document as it was read.
struct Stored {
    client: ServiceClient,
    document: Routing,
    etag: String,
}

async fn read(invocation: &Invocation) -> anyhow::Result<Stored> {
    let client = invocation.target.connect(Service::Hub)?;
    let (answer, headers) = client
        .call_for_headers(Call::new(Method::GET, &PATH))
        .await?;
    Ok(Stored {
        client,
        document: serde_json::from_value(answer)?,
        etag: header_text(&headers, "etag").unwrap_or_else(|| "*".to_owned()),
    })
}

impl Stored {
    /// Writes the document back; returns what is stored then.
    async fn write(self) -> anyhow::Result<Routing> {
        let body = serde_json::to_value(&self.document)?;
        let call = Call::new(Method::PUT, &PATH).body(&body);
        let answer = self.client.call(call.if_match(&self.etag)).await?;
        Ok(serde_json::from_value(answer)?)
    }
}

fn missing(what: &str, name: impl std::fmt::Display) -> CommandError {
    CommandError::Refused {
        status: 404,
        code: None,
        message: format!("there is no {what} {name}"),
    }
}

fn exists(what: &str, name: impl std::fmt::Display) -> CommandError {
    CommandError::Refused {
        status: 409,
        code: None,
        message: format!("there is a {what} {name} already"),
    }
}
