//! Text made safe for HTML and SVG.

/// `text` with the five special characters of HTML and XML replaced, and without the
/// control characters that XML forbids. Safe between tags and inside quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(letter),
            _ if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {}
            _ => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            escape("<script>'&\"\u{0}\n"),
            "&lt;script&gt;&#39;&amp;&quot;\n"
        );
        assert_eq!(escape("σ ≤ 0.1"), "σ ≤ 0.1");
    }
}
