//! Comma-separated values (RFC 4180): quoted fields may hold commas, quotes and line breaks.

/// The rows of a text, each with the number of the line it begins at. Empty lines are skipped.
pub fn rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let mut rows = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let (fields, after) = row(rest).map_err(|problem| format!("line {line}: {problem}"))?;
        if fields.iter().any(|field| !field.is_empty()) {
            rows.push((line, fields));
        }
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    Ok(rows)
}

/// The fields of the first row, and what follows it.
fn row(text: &str) -> Result<(Vec<String>, &str), &'static str> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = field(rest)?;
        fields.push(field);
        rest = match after.strip_prefix(',') {
            Some(next) => next,
            None => {
                let end = after.strip_prefix("\r\n").or(after.strip_prefix('\n'));
                return Ok((fields, end.unwrap_or(after)));
            }
        };
    }
}

fn field(text: &str) -> Result<(String, &str), &'static str> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let end = match text[..end].ends_with('\r') && text[end..].starts_with('\n') {
            true => end - 1,
            false => end,
        };
        return Ok((text[..end].trim().to_owned(), &text[end..]));
    };
    let mut field = String::new();
    loop {
        let (part, after) = rest.split_once('"').ok_or("a quote is not closed")?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None if after.is_empty() || after.starts_with([',', '\r', '\n']) => {
                return Ok((field, after));
            }
            None => return Err("text follows a closing quote"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn quoted_fields_hold_anything() {
        let text = "id,tags\r\npress-1,\"{\"\"line\"\": 1,\n\"\"site\"\": \"\"n\"\"}\"\n\n a , b\n";
        let found = rows(text).unwrap();
        let fields: Vec<Vec<&str>> = found
            .iter()
            .map(|(_, row)| row.iter().map(String::as_str).collect())
            .collect();
        assert_eq!(fields[0], ["id", "tags"]);
        assert_eq!(fields[1], ["press-1", "{\"line\": 1,\n\"site\": \"n\"}"]);
        assert_eq!(fields[2], ["a", "b"]);
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 5]);
        assert_eq!(rows("").unwrap(), []);
        assert_eq!(rows("a,").unwrap(), [(1, vec!["a".into(), String::new()])]);
    }

    #[test]
    fn broken_quotes_are_named_with_their_line() {
        assert_eq!(rows("a\n\"b").unwrap_err(), "line 2: a quote is not closed");
        let text = "\"a\"b";
        assert_eq!(
            rows(text).unwrap_err(),
            "line 1: text follows a closing quote"
        );
    }
}
