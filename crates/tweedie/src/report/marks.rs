//! The data inside a chart's frame: bands, bars, lines and dots.

use super::axis::Scale;
use super::clip;
use super::color::{Color, WHITE};
use super::frame::Frame;
use super::series::{Series, Style};
use super::shapes::{Paint, Pen, Point};
use super::svg::Svg;

const LINE: f64 = 2.5;
/// Further down than any frame reaches, in pixels.
const DEEP: f64 = 1e7;

/// Draws all series: bands and bars first, so that no line is hidden.
pub(super) fn draw(svg: &mut Svg, frame: &Frame, series: &[(&Series, Color)]) {
    for (series, color) in series {
        band(svg, frame, series, *color);
    }
    for (series, color) in series.iter().filter(|(s, _)| s.style == Style::Bars) {
        bars(svg, frame, series, *color);
    }
    for (series, color) in series {
        let pen = Pen::new(*color, LINE);
        match series.style {
            Style::Line | Style::LinePoints => lines(svg, frame, series, pen),
            Style::Dashed => lines(
                svg,
                frame,
                series,
                Pen {
                    dashed: true,
                    ..pen
                },
            ),
            Style::Step => lines(svg, frame, &stepped(series), pen),
            Style::Points | Style::Bars => {}
        }
        if matches!(series.style, Style::Points | Style::LinePoints) {
            dots(svg, frame, series, *color);
        }
    }
}

/// Half the width of a series' bars in the unit of the x axis; 0 for other styles.
///
/// Bars are as wide as the two nearest points are apart, so a histogram's bars touch.
pub(super) fn half_bar(series: &Series, x: Scale) -> f64 {
    if series.style != Style::Bars {
        return 0.0;
    }
    let mut places: Vec<f64> = series.points.iter().filter_map(|p| x.unit(p.0)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let nearest = places
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .fold(f64::INFINITY, f64::min);
    match places.first() {
        Some(_) if nearest.is_finite() => nearest / 2.0,
        // One bar alone is given a width that shows it.
        Some(only) => 0.05 * only.abs().max(1.0),
        None => 0.0,
    }
}

fn band(svg: &mut Svg, frame: &Frame, series: &Series, color: Color) {
    let edges: Vec<Option<(Point, Point)>> = series
        .band
        .iter()
        .map(|&(x, low, high)| {
            let high = frame.place((x, high))?;
            // On a logarithmic axis a band that reaches zero extends to minus infinity.
            let sunk = frame.y.scale == Scale::Log && low <= 0.0;
            let low = if sunk {
                (high.0, DEEP)
            } else {
                frame.place((x, low))?
            };
            Some((high, low))
        })
        .collect();
    for run in edges.split(Option::is_none) {
        let run: Vec<_> = run.iter().flatten().collect();
        let upper = run.iter().map(|edge| edge.0);
        let outline: Vec<Point> = upper.chain(run.iter().rev().map(|edge| edge.1)).collect();
        let inside = clip::polygon(&outline, frame.area);
        if inside.len() > 2 {
            svg.fill(
                &inside,
                Paint {
                    color,
                    opacity: 0.2,
                },
            );
        }
    }
}

fn bars(svg: &mut Svg, frame: &Frame, series: &Series, color: Color) {
    let half = half_bar(series, frame.x.scale);
    let ground = frame.y.place(0.0).map_or(DEEP, |zero| frame.up(zero));
    for &(x, y) in &series.points {
        let (Some(middle), Some(height)) = (frame.x.scale.unit(x), frame.y.place(y)) else {
            continue;
        };
        let edge = |unit| frame.across(frame.x.place_unit(unit));
        let (left, right) = (edge(middle - half), edge(middle + half));
        // A hair of white between neighbours, unless they are too thin for it.
        let gap = if right - left > 4.0 { 0.5 } else { 0.0 };
        let (left, right, top) = (left + gap, right - gap, frame.up(height));
        let corners = [(left, top), (right, top), (right, ground), (left, ground)];
        let inside = clip::polygon(&corners, frame.area);
        if inside.len() > 2 {
            svg.fill(
                &inside,
                Paint {
                    color,
                    opacity: 0.6,
                },
            );
        }
    }
}

fn lines(svg: &mut Svg, frame: &Frame, series: &Series, pen: Pen) {
    let places: Vec<Option<Point>> = series.points.iter().map(|&p| frame.place(p)).collect();
    for run in places.split(Option::is_none) {
        let run: Vec<Point> = run.iter().copied().flatten().collect();
        for part in clip::polyline(&clip::thin(&run), frame.area) {
            match part.as_slice() {
                // A point between two gaps has no line; a dot keeps it visible.
                [only] => svg.discs(&[*only], LINE, pen.paint),
                path => svg.stroke(path, pen),
            }
        }
    }
}

/// The series with the corners of its steps added.
fn stepped(series: &Series) -> Series {
    let mut corners = Vec::with_capacity(series.points.len() * 2);
    for (i, &point) in series.points.iter().enumerate() {
        if i > 0 {
            corners.push((point.0, series.points[i - 1].1));
        }
        corners.push(point);
    }
    Series {
        points: corners,
        ..series.clone()
    }
}

fn dots(svg: &mut Svg, frame: &Frame, series: &Series, color: Color) {
    let places = series.points.iter().filter_map(|&p| frame.place(p));
    let centres: Vec<Point> = places.filter(|&p| frame.area.contains(p)).collect();
    if centres.len() > 200 {
        return svg.discs(
            &centres,
            2.5,
            Paint {
                color,
                opacity: 0.6,
            },
        );
    }
    // A white rim sets dots apart from lines that cross them.
    svg.discs(
        &centres,
        5.5,
        Paint {
            color: WHITE,
            opacity: 0.9,
        },
    );
    svg.discs(&centres, 4.5, color.into());
}
