//! A report as one HTML file that needs nothing else: no script, no link, pictures inside.

use std::fmt::{Arguments, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::animation::Animation;
use super::escape::escape;
use super::picture::Picture;
use crate::error::Result;
use crate::files::write_atomic;

/// A page of text, tables and figures, built from top to bottom.
///
/// Every text is escaped. The page forbids itself to load anything, so it can be mailed, kept
/// and opened anywhere. It follows the reader's light or dark setting.
///
/// ```
/// use tweedie::report::{Page, Picture};
/// let html = Page::new("Run 7")
///     .lead("What the run gave.")
///     .section("Samples")
///     .figure(&Picture::filled(8, 8, [200, 30, 30])?, "A red square.", "red")?
///     .html();
/// assert!(html.contains("<figcaption>A red square.</figcaption>"));
/// # Ok::<(), tweedie::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// An empty page with this title.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            body: String::new(),
        }
    }

    /// Adds the introduction below the title.
    pub fn lead(self, text: &str) -> Self {
        self.push(format_args!("<p class=\"lead\">{}</p>\n", escape(text)))
    }

    /// Begins a section.
    pub fn section(self, heading: &str) -> Self {
        self.push(format_args!("<h2>{}</h2>\n", escape(heading)))
    }

    /// Adds a paragraph.
    pub fn paragraph(self, text: &str) -> Self {
        self.push(format_args!("<p>{}</p>\n", escape(text)))
    }

    /// Adds preformatted text: a command, a configuration.
    pub fn code(self, text: &str) -> Self {
        self.push(format_args!("<pre><code>{}</code></pre>\n", escape(text)))
    }

    /// Adds a table. Columns of numbers are set to the right; short rows get blank cells.
    pub fn table<H: AsRef<str>, C: AsRef<str>>(mut self, header: &[H], rows: &[Vec<C>]) -> Self {
        let columns = rows.iter().map(Vec::len).fold(header.len(), usize::max);
        let cell = |row: &[C], i: usize| row.get(i).map_or("", AsRef::as_ref).to_owned();
        let numeric: Vec<bool> = (0..columns)
            .map(|i| {
                let mut filled = rows
                    .iter()
                    .map(|row| cell(row, i))
                    .filter(|c| !c.is_empty());
                let first = filled.next();
                first.is_some_and(|c| is_number(&c)) && filled.all(|c| is_number(&c))
            })
            .collect();
        let class = |i: usize| if numeric[i] { " class=\"num\"" } else { "" };
        self.body
            .push_str("<div class=\"scroll\"><table>\n<thead><tr>");
        for i in 0..columns {
            let name = escape(header.get(i).map_or("", AsRef::as_ref));
            self = self.push(format_args!("<th scope=\"col\"{}>{name}</th>", class(i)));
        }
        self.body.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.body.push_str("<tr>");
            for i in 0..columns {
                let text = escape(&cell(row, i));
                self = self.push(format_args!("<td{}>{text}</td>", class(i)));
            }
            self.body.push_str("</tr>\n");
        }
        self.body.push_str("</tbody></table></div>\n");
        self
    }

    /// Adds a picture with smooth edges, such as a chart. `alt` describes it to readers who cannot
    /// see it.
    ///
    /// # Errors
    /// Those of [`Picture::png_bytes`].
    pub fn figure(self, picture: &Picture, caption: &str, alt: &str) -> Result<Self> {
        Ok(self.png(&picture.png_bytes()?, Figure::smooth(picture), caption, alt))
    }

    /// Adds a picture whose pixels stay sharp squares when a reader enlarges it: a grid.
    ///
    /// # Errors
    /// Those of [`Picture::png_bytes`].
    pub fn figure_pixels(self, picture: &Picture, caption: &str, alt: &str) -> Result<Self> {
        Ok(self.png(&picture.png_bytes()?, Figure::pixels(picture), caption, alt))
    }

    /// Adds an SVG document, such as that of [`Chart::svg`](super::Chart::svg).
    ///
    /// It is embedded as an image, so nothing in it can run.
    pub fn figure_svg(self, svg: &str, caption: &str, alt: &str) -> Self {
        let source = format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg));
        self.image(&source, caption, alt, "")
    }

    /// Adds an animation, which plays automatically.
    ///
    /// # Errors
    /// Those of [`Animation::png_bytes`].
    pub fn figure_animation(self, animation: &Animation, caption: &str, alt: &str) -> Result<Self> {
        let figure = Figure::smooth(&animation.frames()[0]);
        Ok(self.png(&animation.png_bytes()?, figure, caption, alt))
    }

    /// Adds the PNG file `bytes`.
    pub(super) fn png(self, bytes: &[u8], figure: Figure, caption: &str, alt: &str) -> Self {
        let source = format!("data:image/png;base64,{}", STANDARD.encode(bytes));
        let class = if figure.pixels {
            " class=\"pixels\""
        } else {
            ""
        };
        // The size keeps the text from jumping while pictures are decoded.
        let (width, height) = figure.size;
        let more = format!("{class} width=\"{width}\" height=\"{height}\"");
        self.image(&source, caption, alt, &more)
    }

    fn image(self, source: &str, caption: &str, alt: &str, more: &str) -> Self {
        let (caption, alt) = (escape(caption), escape(alt));
        let page = self.push(format_args!(
            "<figure><img src=\"{source}\" alt=\"{alt}\"{more}>"
        ));
        let page = match caption.is_empty() {
            true => page,
            false => page.push(format_args!("<figcaption>{caption}</figcaption>")),
        };
        page.push(format_args!("</figure>\n"))
    }

    /// The whole document.
    pub fn html(&self) -> String {
        let (title, body, css) = (escape(&self.title), &self.body, include_str!("page.css"));
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             img-src data:; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
        )
    }

    /// Writes the document to `path`, whole or not at all; missing folders are made.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) where the system refuses.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomic(path.as_ref(), self.html().as_bytes())
    }

    fn push(mut self, what: Arguments<'_>) -> Self {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(what);
        self
    }
}

/// How a picture is shown on a page: its width and height, and whether its pixels stay sharp.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    size: (usize, usize),
    pixels: bool,
}

impl Figure {
    pub fn smooth(picture: &Picture) -> Self {
        Self {
            size: (picture.width(), picture.height()),
            pixels: false,
        }
    }

    pub fn pixels(picture: &Picture) -> Self {
        Self {
            pixels: true,
            ..Self::smooth(picture)
        }
    }
}

/// Whether a cell reads as a number, perhaps with a unit or an error behind it: "−1.5 ± 0.2".
fn is_number(cell: &str) -> bool {
    let bare = cell
        .trim()
        .trim_start_matches(['-', '−', '+', '±', '.', '<', '>', '≤', '≥', '≈', ' ']);
    bare.starts_with(|c: char| c.is_ascii_digit())
        || matches!(bare, "∞" | "inf" | "NaN" | "–" | "—")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let evil = "<script>alert('\"&')</script>";
        let picture = Picture::filled(3, 2, [1, 2, 3]).unwrap();
        let page = Page::new(evil)
            .lead(evil)
            .section(evil)
            .paragraph(evil)
            .code(evil);
        let page = page.table(&[evil, "σ"], &[vec!["a", "−1.5", evil], vec!["b"]]);
        let page = page.figure(&picture, evil, evil).unwrap();
        let page = page.figure_pixels(&picture, "", "").unwrap();
        page.figure_svg("<svg xmlns=\"http://www.w3.org/2000/svg\"/>", evil, evil)
    }

    #[test]
    fn every_text_is_escaped() {
        let html = page().html();
        assert!(!html.contains("<script"));
        assert_eq!(
            html.matches("&lt;script&gt;alert(&#39;&quot;&amp;&#39;)")
                .count(),
            12
        );
    }

    #[test]
    fn nothing_is_loaded_from_outside() {
        let html = page().html();
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("url("));
        assert_eq!(
            html.matches("src=").count(),
            html.matches("src=\"data:image/").count()
        );
        assert!(!html.contains("href="));
    }

    #[test]
    fn tables_are_filled_up_and_numbers_stand_right() {
        let html = page().html();
        assert_eq!(html.matches("<th ").count(), 3);
        assert_eq!(html.matches("<td").count(), 6);
        assert!(html.contains("<td class=\"num\">−1.5</td>"));
        assert!(is_number("≈ 3 px") && !is_number("a1") && !is_number(""));
    }

    #[test]
    fn pictures_are_inside_and_pages_repeat() {
        let html = page().html();
        let png = STANDARD.encode(
            Picture::filled(3, 2, [1, 2, 3])
                .unwrap()
                .png_bytes()
                .unwrap(),
        );
        assert_eq!(html.matches(&png).count(), 2);
        assert_eq!(html, page().html());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out/page.html");
        page().save(&path).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), html);
    }
}
