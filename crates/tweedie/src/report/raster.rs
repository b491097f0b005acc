//! SVG drawings as pixels, by resvg, with the embedded font and no other.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

use super::font;
use super::picture::Picture;
use crate::error::{Error, Result};

/// The pixels of a document of [`Svg`](super::svg::Svg).
pub(super) fn render(svg: &str) -> Result<Picture> {
    static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
        let mut fonts = Database::new();
        fonts.load_font_data(font::BYTES.to_vec());
        // Whatever family is asked for: no font of the machine takes part.
        fonts.set_sans_serif_family(font::FAMILY);
        Arc::new(fonts)
    });
    let options = Options {
        fontdb: FONTS.clone(),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options)
        .map_err(|error| Error::setting("picture", "SVG", error.to_string()))?;
    let size = tree.size().to_int_size();
    let mut pixmap = Pixmap::new(size.width(), size.height()).ok_or_else(|| {
        Error::setting(
            "picture size",
            format!("{}x{}", size.width(), size.height()),
            "too large to draw",
        )
    })?;
    resvg::render(&tree, Transform::identity(), &mut pixmap.as_mut());
    // Drawings start with an opaque background, so premultiplied colors are the colors.
    let rgb = pixmap
        .pixels()
        .iter()
        .flat_map(|p| [p.red(), p.green(), p.blue()])
        .collect();
    Picture::new(size.width() as usize, size.height() as usize, rgb)
}
