//! Characters that word processors and web pages put into a copied configuration: they look like
//! other characters, or cannot be seen.

/// A typographic quote, and the quote of TOML that was meant.
pub(super) fn typographic_quote(c: char) -> Option<(char, char)> {
    match c {
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{2033}' | '\u{ab}' | '\u{bb}' => {
            Some((c, '"'))
        }
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2032}' => Some((c, '\'')),
        _ => None,
    }
}

/// The name of a character that looks like a space or cannot be seen.
pub(super) fn unseen(c: char) -> Option<String> {
    let name = match c {
        '\u{a0}' | '\u{2007}' | '\u{202f}' => "a no-break space",
        '\u{2000}'..='\u{2006}' | '\u{2008}'..='\u{200a}' | '\u{205f}' | '\u{3000}' => {
            "a space of another width"
        }
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' => {
            "an invisible character"
        }
        '\u{feff}' => "a byte order mark",
        _ => return None,
    };
    Some(format!("{name} (U+{:04X})", u32::from(c)))
}
