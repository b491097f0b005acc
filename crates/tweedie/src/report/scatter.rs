//! Panels of 2-D points and paths in a row, all with the same square ranges.

use std::borrow::Cow;

use super::axis::{Axis, Extent, Scale, Span};
use super::clip;
use super::color::{self, Color, INK, SOFT, WHITE};
use super::font;
use super::frame::{AWAY, Frame, SIZE};
use super::picture::Picture;
use super::raster;
use super::shapes::{Anchor, Paint, Pen, Point, Rect, Text};
use super::svg::Svg;
use super::ticks::Ticks;
use crate::error::{Error, Result};

const PAD: f64 = 16.0;
const GAP: f64 = 26.0;
const TITLE: f64 = 20.0;
/// Height in pixels of the title's line, of a panel's title, of the tick labels, of the remark.
const TITLE_LINE: f64 = 34.0;
const HEAD: f64 = 28.0;
const FOOT: f64 = AWAY + SIZE + 2.0;
const REMARK: f64 = 24.0;
/// The sides a panel may have, in pixels.
const SIDES: std::ops::RangeInclusive<usize> = 160..=4096;

/// One panel: a cloud of points, paths, or both.
///
/// Points that are not finite or outside the frame are left out and counted below the panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cloud {
    /// Stands above the panel; may be empty.
    pub title: String,
    /// The points (x, y), drawn small and translucent. Under paths they are grey.
    pub points: Vec<[f64; 2]>,
    /// Paths through (x, y), such as sampling trajectories: a ring at the start of each, a dot
    /// at its end.
    pub paths: Vec<Vec<[f64; 2]>>,
    /// Red, green, blue of the points; `None` takes the palette's color of this panel.
    pub color: Option<Color>,
}

impl Cloud {
    /// A panel of points.
    pub fn new(title: impl Into<String>, points: impl IntoIterator<Item = [f64; 2]>) -> Self {
        Self {
            title: title.into(),
            points: points.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The same panel with these paths over its points.
    pub fn paths(mut self, paths: impl IntoIterator<Item = Vec<[f64; 2]>>) -> Self {
        self.paths = paths.into_iter().collect();
        self
    }

    /// The same panel with its points in this color (red, green, blue).
    pub fn color(mut self, color: Color) -> Self {
        self.color = Some(color);
        self
    }
}

/// Panels in a row under a title: data beside samples, or the trajectories of samplers.
///
/// All panels show the same square, so shapes are not distorted and can be compared.
///
/// ```
/// use tweedie::report::{Cloud, Scatter};
/// let scatter = Scatter::new("Two modes")
///     .cloud(Cloud::new("data", [[-1.0, 0.0], [1.0, 0.0]]))
///     .cloud(Cloud::new("samples", [[-0.9, 0.1], [1.1, 0.0]]));
/// assert_eq!(scatter.png(300)?.height(), scatter.png(300)?.height());
/// # Ok::<(), tweedie::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scatter {
    /// Stands above all panels; may be empty.
    pub title: String,
    /// The panels, from left to right.
    pub clouds: Vec<Cloud>,
    /// The first and last value of both axes; `None` fits all panels' points and paths.
    pub range: Option<(f64, f64)>,
}

impl Scatter {
    /// A row without panels.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// The same row with one more panel.
    pub fn cloud(mut self, cloud: Cloud) -> Self {
        self.clouds.push(cloud);
        self
    }

    /// The same row, both axes of each panel showing exactly `low` to `high`.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// The row as a picture whose panels have sides of `panel` pixels; labels come on top.
    ///
    /// A row without panels is drawn as one empty panel.
    ///
    /// # Errors
    /// [`Error::Setting`] for a `panel` outside 160..=4096, a row wider than
    /// [`MAX_SIDE`](super::MAX_SIDE), or a range that is not ascending and finite.
    pub fn png(&self, panel: usize) -> Result<Picture> {
        raster::render(&self.svg(panel)?)
    }

    /// The row as an SVG document whose panels have sides of `panel` pixels.
    ///
    /// Points become elements: a document of 50 000 takes 2 MB.
    ///
    /// # Errors
    /// Those of [`Scatter::png`].
    pub fn svg(&self, panel: usize) -> Result<String> {
        let row = self.laid_out(panel)?;
        let mut svg = Svg::new(row.size, WHITE)?;
        row.draw(&mut svg);
        Ok(svg.finish())
    }

    fn laid_out(&self, panel: usize) -> Result<Row<'_>> {
        if !SIDES.contains(&panel) {
            let reason = format!(
                "must be between {} and {} pixels",
                SIDES.start(),
                SIDES.end()
            );
            return Err(Error::setting("panel side", panel, reason));
        }
        let clouds = match self.clouds.as_slice() {
            [] => Cow::Owned(vec![Cloud::default()]),
            clouds => Cow::Borrowed(clouds),
        };
        let (x, y) = spans(&clouds, self.range)?;
        let side = panel as f64;
        let x_ticks = Ticks::across(&x, side, SIZE);
        let y_ticks = Ticks::new(&y, (side / 60.0).clamp(2.0, 7.0) as usize);
        let left = PAD + y_ticks.widest(SIZE) + AWAY;
        let overhang = x_ticks.overhang(side, PAD, SIZE);
        let count = clouds.len() as f64;
        let width = left + count * side + (count - 1.0) * GAP + overhang + PAD;
        let title = font::wrap(&self.title, TITLE, width - 2.0 * PAD, 2);
        let headed = clouds.iter().any(|cloud| !cloud.title.is_empty());
        let head = if headed { HEAD } else { SIZE / 2.0 };
        let top = PAD + TITLE_LINE * title.len() as f64 + head;
        let mut row = Row {
            title,
            clouds,
            x,
            y,
            x_ticks,
            y_ticks,
            side,
            left,
            top,
            size: (0, 0),
        };
        let remarks = (0..row.clouds.len()).any(|i| row.remark(i).is_some());
        let height = top + side + FOOT + if remarks { REMARK } else { 0.0 } + PAD;
        row.size = (width.ceil() as usize, height.ceil() as usize);
        Ok(row)
    }
}

/// A scatter row with all its measures, in pixels.
struct Row<'a> {
    title: Vec<String>,
    clouds: Cow<'a, [Cloud]>,
    x: Span,
    y: Span,
    x_ticks: Ticks,
    y_ticks: Ticks,
    side: f64,
    left: f64,
    top: f64,
    size: (usize, usize),
}

impl Row<'_> {
    fn frame(&self, index: usize) -> Frame {
        let left = self.left + index as f64 * (self.side + GAP);
        let (right, bottom) = (left + self.side, self.top + self.side);
        let area = Rect {
            left,
            top: self.top,
            right,
            bottom,
        };
        Frame {
            area,
            x: self.x,
            y: self.y,
        }
    }

    /// What stands below a panel: what the marks of its paths mean, how many points it misses.
    fn remark(&self, index: usize) -> Option<String> {
        let (cloud, frame) = (&self.clouds[index], self.frame(index));
        let visible = |p: Point| frame.area.contains(p);
        let outside = cloud.points.iter().filter(|[x, y]| {
            let place = frame.place((*x, *y));
            !place.is_some_and(visible)
        });
        let outside = outside.count();
        let key = (!cloud.paths.is_empty()).then(|| "○ start  ● end".to_owned());
        let missed = (outside > 0).then(|| format!("{outside} not shown"));
        let both: Vec<String> = key.into_iter().chain(missed).collect();
        (!both.is_empty()).then(|| both.join(" · "))
    }

    /// Draws everything but the background.
    fn draw(&self, svg: &mut Svg) {
        for (i, line) in self.title.iter().enumerate() {
            let at = (PAD, PAD + i as f64 * TITLE_LINE + TITLE * 0.8);
            svg.text(Text::new(line, at, TITLE, Anchor::Start, INK));
        }
        for (i, cloud) in self.clouds.iter().enumerate() {
            let frame = self.frame(i);
            let (area, middle) = (frame.area, (frame.area.left + frame.area.right) / 2.0);
            let head = font::shorten(&cloud.title, SIZE, self.side);
            svg.text(Text::new(
                &head,
                (middle, area.top - 11.0),
                SIZE,
                Anchor::Middle,
                INK,
            ));
            frame.draw_grid(svg, &self.x_ticks, &self.y_ticks);
            let color = match cloud.color {
                Some(color) => color,
                // Grey points leave the palette to the paths.
                None if !cloud.paths.is_empty() => [150, 157, 168],
                None => color::of_index(i),
            };
            points(svg, &frame, &cloud.points, color);
            for (k, path) in cloud.paths.iter().enumerate() {
                trajectory(svg, &frame, path, color::of_index(k));
            }
            frame.draw_axes(svg, &self.x_ticks, &self.y_ticks, i == 0);
            if let Some(remark) = self.remark(i) {
                let at = (middle, area.bottom + FOOT + REMARK * 0.75);
                let remark = font::shorten(&remark, SIZE, self.side + GAP);
                svg.text(Text::new(&remark, at, SIZE, Anchor::Middle, SOFT));
            }
        }
    }
}

/// Many points are drawn smaller and fainter, so that density shows.
fn points(svg: &mut Svg, frame: &Frame, points: &[[f64; 2]], color: Color) {
    let places = points.iter().filter_map(|&[x, y]| frame.place((x, y)));
    let centres: Vec<Point> = places.filter(|&p| frame.area.contains(p)).collect();
    // Areas are compared with the panel's, so large panels get larger dots.
    let dense = centres.len() as f64 * (300.0 / frame.area.width()).powi(2);
    let radius = if dense > 3000.0 { 1.5 } else { 2.0 };
    let opacity = (600.0 / dense.max(1.0)).sqrt().clamp(0.2, 0.7);
    svg.discs(&centres, radius, Paint { color, opacity });
}

fn trajectory(svg: &mut Svg, frame: &Frame, path: &[[f64; 2]], color: Color) {
    let places: Vec<Point> = path
        .iter()
        .filter_map(|&[x, y]| frame.place((x, y)))
        .collect();
    let pen = Pen {
        paint: Paint {
            color,
            opacity: 0.85,
        },
        width: 1.6,
        dashed: false,
    };
    for part in clip::polyline(&places, frame.area) {
        if part.len() > 1 {
            svg.stroke(&part, pen);
        }
    }
    let seen = |place: Option<&Point>| place.copied().filter(|&p| frame.area.contains(p));
    if let Some(start) = seen(places.first()) {
        svg.discs(&[start], 4.5, color.into());
        svg.discs(&[start], 2.8, WHITE.into());
    }
    if let Some(end) = seen(places.last()) {
        svg.discs(&[end], 5.0, WHITE.into());
        svg.discs(&[end], 4.0, color.into());
    }
}

/// Both axes with one length, around the middle of what the panels hold.
fn spans(clouds: &[Cloud], range: Option<(f64, f64)>) -> Result<(Span, Span)> {
    let (mut x, mut y) = (Extent::new(Scale::Linear), Extent::new(Scale::Linear));
    if range.is_some() {
        let axis = Axis {
            range,
            ..Axis::default()
        };
        let span = Span::new("scatter axes", &axis, x, 0.0)?;
        return Ok((span, span));
    }
    let drawable = |p: &&[f64; 2]| p.iter().all(|&v| Scale::Linear.unit(v).is_some());
    let all = clouds
        .iter()
        .flat_map(|c| c.points.iter().chain(c.paths.iter().flatten()));
    for point in all.filter(drawable) {
        x.add(point[0]);
        y.add(point[1]);
    }
    let ((left, right), (bottom, top)) = (x.ends(), y.ends());
    let size = (right - left).max(top - bottom);
    // One point, or the same point many times, needs some room too.
    let far = [left, right, bottom, top]
        .into_iter()
        .fold(0.0, |m: f64, v| m.max(v.abs()));
    let room = if size > 1e-9 * far {
        0.54 * size
    } else {
        0.1 * far.max(1e-3)
    };
    let around = |low: f64, high: f64| {
        let middle = low / 2.0 + high / 2.0;
        Span {
            scale: Scale::Linear,
            low: middle - room,
            high: middle + room,
        }
    };
    Ok((around(left, right), around(bottom, top)))
}
