//! Text files of operators, also as editors and shells of other systems write them.

use std::path::Path;

use anyhow::{Context, bail};

/// Reads a text file: UTF-8, with or without a byte order mark, or UTF-16 with one, as `>` of
/// Windows PowerShell writes it.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    decode(&bytes).with_context(|| format!("cannot read {}", path.display()))
}

fn decode(bytes: &[u8]) -> anyhow::Result<String> {
    let wide = |of: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes[2..].as_chunks::<2>();
        let text = String::from_utf16(&units.iter().map(|unit| of(*unit)).collect::<Vec<_>>());
        match (text, rest) {
            (Ok(text), []) => Ok(text),
            _ => bail!("it begins as UTF-16 and goes on as something else; save it as UTF-8"),
        }
    };
    match bytes {
        [0xFF, 0xFE, ..] => wide(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => wide(u16::from_be_bytes),
        _ => {
            let text = wire::lenient::without_bom(bytes);
            String::from_utf8(text.to_vec()).context("it is not UTF-8 text")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_says_how_the_rest_is_read() {
        let text = "{\"a\": \"ü\"}";
        let marked = |units: Vec<[u8; 2]>| units.concat();
        let wide = || std::iter::once(0xFEFF_u16).chain(text.encode_utf16());
        let little = marked(wide().map(u16::to_le_bytes).collect());
        let big = marked(wide().map(u16::to_be_bytes).collect());
        let utf8 = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
        for bytes in [text.as_bytes().to_vec(), utf8, little.clone(), big] {
            assert_eq!(decode(&bytes).unwrap(), text);
        }
        assert!(decode(&little[..little.len() - 1]).is_err());
        assert!(decode(b"\xFFno").is_err());
    }
}
