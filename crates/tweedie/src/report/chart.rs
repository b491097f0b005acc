//! Charts of lines, points, steps, bars and bands over a linear or logarithmic axis.

use super::axis::{Axis, Extent, Span};
use super::color::{self, Color, INK, SOFT, WHITE};
use super::font;
use super::frame::{AWAY, Frame, SIZE};
use super::legend::{Entry, Legend, ROW};
use super::picture::Picture;
use super::series::{Series, Style};
use super::shapes::{Anchor, Rect, Text};
use super::svg::Svg;
use super::ticks::Ticks;
use super::{marks, raster};
use crate::error::{Error, Result};

const PAD: f64 = 16.0;
const TITLE: f64 = 20.0;
/// Height of a line of the title, of the note, in pixels.
const TITLE_LINE: f64 = 27.0;
const NOTE_LINE: f64 = 22.0;
/// The smallest chart whose labels leave room for data, and the largest, in pixels.
const WIDTHS: std::ops::RangeInclusive<usize> = 320..=8192;
const HEIGHTS: std::ops::RangeInclusive<usize> = 240..=8192;

/// A chart: a title, two axes, any number of series, a note below.
///
/// Text is 16 px high and lines are 2.5 px wide whatever the size; 900 × 560 suits a page.
/// Drawing the same chart twice gives the same bytes, on every machine.
///
/// ```
/// use tweedie::report::{Axis, Chart, Series};
/// let chart = Chart::new("Training loss")
///     .x(Axis::log("step"))
///     .y(Axis::linear("loss"))
///     .series(Series::line("train", [(1.0, 0.9), (10.0, 0.4), (100.0, 0.2)]));
/// let picture = chart.png(900, 560)?;
/// assert_eq!((picture.width(), picture.height()), (900, 560));
/// # Ok::<(), tweedie::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Stands above the chart; may be empty.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is shown; later series are drawn over earlier ones.
    pub series: Vec<Series>,
    /// A remark below the chart, such as the settings of the run; may be empty.
    pub note: String,
}

impl Chart {
    /// An empty chart with unlabelled linear axes.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// The same chart with this horizontal axis.
    pub fn x(mut self, axis: Axis) -> Self {
        self.x = axis;
        self
    }

    /// The same chart with this vertical axis.
    pub fn y(mut self, axis: Axis) -> Self {
        self.y = axis;
        self
    }

    /// The same chart with one more series.
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// The same chart with a remark below it.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The chart as a picture of `width` × `height` pixels.
    ///
    /// # Errors
    /// [`Error::Setting`] for a width outside 320..=8192, a height outside 240..=8192, or an
    /// axis range that is not ascending, not finite or, on a logarithmic axis, not positive.
    pub fn png(&self, width: usize, height: usize) -> Result<Picture> {
        raster::render(&self.svg(width, height)?)
    }

    /// The chart as an SVG document of `width` × `height` pixels.
    ///
    /// # Errors
    /// Those of [`Chart::png`].
    pub fn svg(&self, width: usize, height: usize) -> Result<String> {
        for (name, side, allowed) in [
            ("chart width", width, WIDTHS),
            ("chart height", height, HEIGHTS),
        ] {
            if !allowed.contains(&side) {
                let (low, high) = (allowed.start(), allowed.end());
                let reason = format!("must be between {low} and {high} pixels");
                return Err(Error::setting(name, side, reason));
            }
        }
        let mut svg = Svg::new((width, height), WHITE)?;
        self.draw(&mut svg, width as f64, height as f64)?;
        Ok(svg.finish())
    }

    /// Each series with its color: its own, or the palette's next.
    fn colored(&self) -> impl Iterator<Item = (&Series, Color)> {
        let mut next = 0;
        self.series.iter().map(move |series| {
            let color = series.color.unwrap_or_else(|| {
                next += 1;
                color::of_index(next - 1)
            });
            (series, color)
        })
    }

    fn legend(&self, room: f64, most: usize) -> Legend {
        let listed = self
            .colored()
            .filter(|(series, _)| !series.label.is_empty());
        let entries = listed.map(|(series, color)| Entry {
            label: series.label.clone(),
            style: series.style,
            color,
            band: !series.band.is_empty(),
        });
        Legend::new(entries.collect(), room, most)
    }

    fn spans(&self) -> Result<(Span, Span)> {
        let (mut x, mut y) = (Extent::new(self.x.scale), Extent::new(self.y.scale));
        let mut bars = false;
        for series in &self.series {
            let half = marks::half_bar(series, self.x.scale);
            for &(at, value) in &series.points {
                // A point that one axis cannot show must not stretch the other.
                let (Some(unit), Some(_)) = (self.x.scale.unit(at), self.y.scale.unit(value))
                else {
                    continue;
                };
                x.add_unit(unit - half);
                x.add_unit(unit + half);
                y.add(value);
                bars |= series.style == Style::Bars;
            }
            for &(at, low, high) in &series.band {
                if self.x.scale.unit(at).is_some() && self.y.scale.unit(high).is_some() {
                    x.add(at);
                    y.add(low);
                    y.add(high);
                }
            }
        }
        if bars {
            // Bars start at zero; a logarithmic axis has none and leaves it out.
            y.add(0.0);
        }
        let x_margin = if bars { 0.01 } else { 0.02 };
        Ok((
            Span::new("x axis", &self.x, x, x_margin)?,
            Span::new("y axis", &self.y, y, 0.05)?,
        ))
    }

    /// Draws everything but the background.
    fn draw(&self, svg: &mut Svg, width: f64, height: f64) -> Result<()> {
        let room = width - 2.0 * PAD;
        let (x, y) = self.spans()?;
        // Title from above; note, legend and x label from below; the plot takes what is left.
        // Small charts give their room to the data.
        let (title_lines, note_lines) = if height < 400.0 { (1, 1) } else { (2, 3) };
        let title = font::wrap(&self.title, TITLE, room, title_lines);
        let note = font::wrap(&self.note, SIZE, room, note_lines);
        let legend = self.legend(room, ((height * 0.25) / ROW) as usize);
        let mut top = PAD;
        for line in &title {
            let at = (PAD, top + TITLE * 0.8);
            svg.text(Text::new(line, at, TITLE, Anchor::Start, INK));
            top += TITLE_LINE;
        }
        // The uppermost tick label may rise half its height above the plot.
        top += SIZE / 2.0;
        let mut bottom = height - PAD - NOTE_LINE * note.len() as f64;
        for (i, line) in note.iter().enumerate() {
            let at = (PAD, bottom + NOTE_LINE * (i as f64 + 0.8));
            svg.text(Text::new(line, at, SIZE, Anchor::Start, SOFT));
        }
        if !note.is_empty() {
            bottom -= 6.0;
        }
        bottom -= legend.height();
        let legend_top = bottom;
        if legend.height() > 0.0 {
            bottom -= 6.0;
        }
        let label_baseline = bottom - 5.0;
        if !self.x.label.is_empty() {
            bottom -= SIZE + 10.0;
        }
        bottom -= AWAY + SIZE;

        // Labels decide the left and right margins; those of y depend on the height only.
        let y_ticks = match self.y.ticks.as_slice() {
            [] => Ticks::new(&y, ((bottom - top) / 52.0).clamp(2.0, 9.0) as usize),
            given => Ticks::given(&y, given),
        };
        let label_room = if self.y.label.is_empty() {
            0.0
        } else {
            SIZE + 10.0
        };
        let left = PAD + label_room + y_ticks.widest(SIZE) + AWAY;
        let x_ticks = match self.x.ticks.as_slice() {
            [] => Ticks::across(&x, width - PAD - left, SIZE),
            given => Ticks::given(&x, given),
        };
        let right = width - PAD - x_ticks.overhang(width - PAD - left, PAD, SIZE);
        let frame = Frame {
            area: Rect {
                left,
                top,
                right,
                bottom,
            },
            x,
            y,
        };

        frame.draw_grid(svg, &x_ticks, &y_ticks);
        marks::draw(svg, &frame, &self.colored().collect::<Vec<_>>());
        frame.draw_axes(svg, &x_ticks, &y_ticks, true);

        let x_label = font::shorten(&self.x.label, SIZE, room);
        // A label longer than the plot is moved left rather than cut.
        let half = font::width(&x_label, SIZE) / 2.0;
        let centre = ((left + right) / 2.0)
            .min(width - PAD - half)
            .max(PAD + half);
        svg.text(Text::new(
            &x_label,
            (centre, label_baseline),
            SIZE,
            Anchor::Middle,
            INK,
        ));
        // It may be longer than the axis, down to the tick labels, but not run into the title.
        let y_label = font::shorten(&self.y.label, SIZE, bottom + AWAY + SIZE - top);
        let half = font::width(&y_label, SIZE) / 2.0;
        let at = (PAD + SIZE * 0.8, ((top + bottom) / 2.0).max(top + half));
        svg.text(Text {
            upward: true,
            ..Text::new(&y_label, at, SIZE, Anchor::Middle, INK)
        });
        legend.draw(svg, width / 2.0, legend_top);
        Ok(())
    }
}
