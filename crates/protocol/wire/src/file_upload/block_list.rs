use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Most blocks of a blob, as in Azure.
pub const MAX_BLOCKS: usize = 50_000;
/// Longest id of a block before it is encoded, bytes, as in Azure.
const MAX_BLOCK_ID: usize = 64;

/// The id of a block: base64 as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockId(String);

impl BlockId {
    /// Parses the base64 text of an id.
    ///
    /// # Errors
    /// When it is not base64 of 1 to 64 bytes.
    pub fn parse(text: &str) -> Result<Self, BlockListError> {
        let bytes = STANDARD.decode(text).map_err(|_| BlockListError::BlockId)?;
        match bytes.len() {
            1..=MAX_BLOCK_ID => Ok(Self(text.to_owned())),
            _ => Err(BlockListError::BlockId),
        }
    }

    /// The id in hexadecimal digits, which may be the name of a file.
    #[must_use]
    pub fn file_name(&self) -> String {
        let bytes = self.0.bytes();
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Why a body is not a list of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockListError {
    /// It is not UTF-8.
    #[error("the list of blocks is not UTF-8")]
    Encoding,
    /// It is not XML of the form `<BlockList><Latest>id</Latest>…</BlockList>`.
    #[error("the list of blocks is not <BlockList> with <Latest>, <Committed> or <Uncommitted>")]
    Form,
    /// The id of a block is not base64 of 1 to 64 bytes.
    #[error("the id of a block is not base64 of 1 to 64 bytes")]
    BlockId,
    /// It names more blocks than a blob may have.
    #[error("a blob has {MAX_BLOCKS} blocks at most")]
    TooMany,
}

/// Reads `<BlockList><Latest>id</Latest>…</BlockList>`, also with a declaration, comments, blanks
/// and `<Committed>` or `<Uncommitted>`. Nothing else of XML is read: no attributes but of the
/// declaration, no entities, no namespaces.
///
/// # Errors
/// When it is something else.
pub fn parse_block_list(body: &[u8]) -> Result<Vec<BlockId>, BlockListError> {
    let body = crate::lenient::without_bom(body);
    let text = std::str::from_utf8(body).map_err(|_| BlockListError::Encoding)?;
    let mut rest = skip_prologue(text)?;
    if let Some(after) = rest
        .strip_prefix("<BlockList/>")
        .or_else(|| rest.strip_prefix("<BlockList />"))
    {
        return end(after, Vec::new());
    }
    rest = rest
        .strip_prefix("<BlockList>")
        .ok_or(BlockListError::Form)?;
    let mut blocks = Vec::new();
    loop {
        rest = skip_comments(rest)?;
        if let Some(after) = rest.strip_prefix("</BlockList>") {
            return end(after, blocks);
        }
        let (id, after) = block(rest)?;
        if blocks.len() == MAX_BLOCKS {
            return Err(BlockListError::TooMany);
        }
        blocks.push(BlockId::parse(id.trim())?);
        rest = after;
    }
}

/// The id of the element at the beginning of `text`, and what follows the element.
fn block(text: &str) -> Result<(&str, &str), BlockListError> {
    for (open, close) in [
        ("<Latest>", "</Latest>"),
        ("<Uncommitted>", "</Uncommitted>"),
        ("<Committed>", "</Committed>"),
    ] {
        if let Some(inside) = text.strip_prefix(open) {
            return inside.split_once(close).ok_or(BlockListError::Form);
        }
    }
    Err(BlockListError::Form)
}

fn end(rest: &str, blocks: Vec<BlockId>) -> Result<Vec<BlockId>, BlockListError> {
    match skip_comments(rest)? {
        "" => Ok(blocks),
        _ => Err(BlockListError::Form),
    }
}

fn skip_prologue(text: &str) -> Result<&str, BlockListError> {
    let text = text.trim_start();
    let text = match text.strip_prefix("<?xml") {
        None => text,
        Some(declaration) => {
            let (_, rest) = declaration.split_once("?>").ok_or(BlockListError::Form)?;
            rest
        }
    };
    skip_comments(text)
}

fn skip_comments(mut text: &str) -> Result<&str, BlockListError> {
    loop {
        text = text.trim_start();
        let Some(comment) = text.strip_prefix("<!--") else {
            return Ok(text);
        };
        (_, text) = comment.split_once("-->").ok_or(BlockListError::Form)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(xml: &str) -> Vec<String> {
        let blocks = parse_block_list(xml.as_bytes()).unwrap();
        blocks.into_iter().map(|BlockId(id)| id).collect()
    }

    #[test]
    fn lists_of_the_sdks_are_read() {
        let python = "<?xml version='1.0' encoding='utf-8'?>\n<BlockList><Latest>MDAx</Latest>\
                      <Latest>MDAy</Latest></BlockList>";
        assert_eq!(names(python), ["MDAx", "MDAy"]);
        let node = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\
                    <BlockList>\r\n  <Uncommitted>MDAx</Uncommitted>\r\n <!-- x -->\
                    <Committed>MDAy</Committed>\r\n</BlockList>\r\n";
        assert_eq!(names(node), ["MDAx", "MDAy"]);
        assert!(names("<BlockList></BlockList>").is_empty());
        assert!(names("<BlockList />").is_empty());
    }

    #[test]
    fn anything_else_is_refused() {
        for xml in [
            "",
            "<BlockList>",
            "<BlockList><Latest>MDAx</BlockList>",
            "<BlockList><Latest>&#77;DAx</Latest></BlockList>",
            "<BlockList><Latest></Latest></BlockList>",
            "<BlockList><Other>MDAx</Other></BlockList>",
            "<BlockList></BlockList><BlockList></BlockList>",
            "<!DOCTYPE x [<!ENTITY y 'z'>]><BlockList></BlockList>",
        ] {
            assert!(parse_block_list(xml.as_bytes()).is_err(), "{xml}");
        }
        let many = "<Latest>MDAx</Latest>".repeat(MAX_BLOCKS + 1);
        let many = format!("<BlockList>{many}</BlockList>");
        let many = parse_block_list(many.as_bytes());
        assert_eq!(many, Err(BlockListError::TooMany));
        assert!(BlockId::parse(&"A".repeat(88)).is_err(), "66 bytes");
    }
}
