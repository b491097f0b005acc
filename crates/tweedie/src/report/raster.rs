//! The canvas of pixels: anti-aliased by tiny-skia, text from the embedded font's outlines.

use tiny_skia::{
    FillRule, LineCap, LineJoin, Paint as SkPaint, PathBuilder, Pixmap, Stroke, StrokeDash,
    Transform,
};
use ttf_parser::OutlineBuilder;

use super::canvas::{Anchor, Canvas, Drawing, Paint, Pen, Point, Text};
use super::font;
use super::picture::{Picture, check_side};
use crate::error::{Error, Result};

/// Draws `drawing` to pixels.
pub(super) fn render(drawing: &impl Drawing) -> Result<Picture> {
    let (width, height) = drawing.size();
    check_side("picture width", width)?;
    check_side("picture height", height)?;
    let pixmap = Pixmap::new(width as u32, height as u32).ok_or_else(|| {
        Error::setting(
            "picture size",
            format!("{width}x{height}"),
            "too large to draw",
        )
    })?;
    let mut raster = Raster { pixmap };
    drawing.draw(&mut raster)?;
    // Drawings start with an opaque background, so premultiplied colors are the colors.
    let rgb = raster
        .pixmap
        .pixels()
        .iter()
        .flat_map(|p| [p.red(), p.green(), p.blue()])
        .collect();
    Picture::new(width, height, rgb)
}

struct Raster {
    pixmap: Pixmap,
}

impl Canvas for Raster {
    fn fill(&mut self, corners: &[Point], paint: Paint) {
        let mut path = line(corners);
        path.close();
        self.fill_path(path, paint, Transform::identity());
    }

    fn stroke(&mut self, path: &[Point], pen: Pen) {
        let Some(path) = line(path).finish() else {
            return;
        };
        let stroke = Stroke {
            width: pen.width as f32,
            line_cap: if pen.dashed {
                LineCap::Butt
            } else {
                LineCap::Round
            },
            line_join: LineJoin::Round,
            dash: pen
                .dash()
                .and_then(|dash| StrokeDash::new(dash.map(|d| d as f32).into(), 0.0)),
            ..Stroke::default()
        };
        let paint = sk_paint(pen.paint);
        self.pixmap
            .stroke_path(&path, &paint, &stroke, Transform::identity(), None);
    }

    fn discs(&mut self, centres: &[Point], radius: f64, paint: Paint) {
        for &(x, y) in centres {
            let mut path = PathBuilder::new();
            path.push_circle(x as f32, y as f32, radius as f32);
            self.fill_path(path, paint, Transform::identity());
        }
    }

    fn text(&mut self, text: Text<'_>) {
        let mut outline = Outline(PathBuilder::new());
        font::outline(text.text, text.size, &mut outline);
        let back = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => font::width(text.text, text.size) / 2.0,
            Anchor::End => font::width(text.text, text.size),
        };
        let (x, y) = (text.at.0 as f32, text.at.1 as f32);
        let place = if text.upward {
            Transform::from_row(0.0, -1.0, 1.0, 0.0, x.round(), y + back as f32)
        } else {
            // A baseline on a whole pixel keeps letters crisp.
            Transform::from_translate(x - back as f32, y.round())
        };
        self.fill_path(outline.0, text.color.into(), place);
    }
}

impl Raster {
    fn fill_path(&mut self, path: PathBuilder, paint: Paint, transform: Transform) {
        // No path means nothing to see: fewer than two points, or no extent.
        if let Some(path) = path.finish() {
            let paint = sk_paint(paint);
            self.pixmap
                .fill_path(&path, &paint, FillRule::Winding, transform, None);
        }
    }
}

fn line(points: &[Point]) -> PathBuilder {
    let mut path = PathBuilder::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 {
            path.move_to(x as f32, y as f32);
        } else {
            path.line_to(x as f32, y as f32);
        }
    }
    path
}

fn sk_paint(paint: Paint) -> SkPaint<'static> {
    let [r, g, b] = paint.color;
    let mut sk = SkPaint::default();
    sk.set_color_rgba8(
        r,
        g,
        b,
        (paint.opacity.clamp(0.0, 1.0) * 255.0).round() as u8,
    );
    sk.anti_alias = true;
    sk
}

/// Lets the font write its outlines into a path.
struct Outline(PathBuilder);

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.0.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.0.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}
