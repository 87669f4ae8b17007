//! Writing a blob at the address that a hub gave, in the Azure storage dialect.

use super::{CommandError, ServiceClient, header_text, innermost};

/// Response header: what was wrong, in a word.
const ERROR_CODE: &str = "x-ms-error-code";

impl ServiceClient {
    /// Sends one request of an upload. `url` carries its own token.
    pub async fn put_blob(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<(), CommandError> {
        let mut request = self.http.put(url).header("x-ms-version", "2021-12-02");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body).send().await;
        let answer = answer.map_err(|error| CommandError::Unreachable {
            url: self.host.to_string(),
            reason: innermost(&error),
        })?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status().as_u16();
        let code = header_text(answer.headers(), ERROR_CODE);
        let mut message = code.unwrap_or_else(|| "the blob was not written".to_owned());
        if let Some(text) = answer.text().await.ok().as_deref().and_then(error_text) {
            message = format!("{message}: {text}");
        }
        Err(CommandError::Refused {
            status,
            code: None,
            message,
        })
    }
}

/// What an error of the storage dialect says to people: `<Message>` of its XML.
fn error_text(xml: &str) -> Option<&str> {
    let (_, rest) = xml.split_once("<Message>")?;
    let (text, _) = rest.split_once("</Message>")?;
    Some(text.trim())
}
