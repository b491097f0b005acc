//! Clipping shapes to the frame of a chart, and thinning lines denser than the pixels.

use super::shapes::{Point, Rect};

/// The parts of the line through `points` that lie inside `frame`.
pub(super) fn polyline(points: &[Point], frame: Rect) -> Vec<Vec<Point>> {
    let mut parts: Vec<Vec<Point>> = Vec::new();
    if let [only] = points {
        return if frame.contains(*only) {
            vec![vec![*only]]
        } else {
            parts
        };
    }
    for pair in points.windows(2) {
        let Some((from, to)) = segment(pair[0], pair[1], frame) else {
            continue;
        };
        match parts.last_mut() {
            // The line goes on where it stopped only if neither side of the joint was cut.
            Some(part) if part.last() == Some(&from) && from == pair[0] => part.push(to),
            _ => parts.push(vec![from, to]),
        }
    }
    parts
}

/// Liang and Barsky: the part of a segment inside `frame`.
fn segment(from: Point, to: Point, frame: Rect) -> Option<(Point, Point)> {
    if frame.contains(from) && frame.contains(to) {
        return Some((from, to));
    }
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut start, mut end) = (0.0_f64, 1.0_f64);
    let sides = [
        (-dx, from.0 - frame.left),
        (dx, frame.right - from.0),
        (-dy, from.1 - frame.top),
        (dy, frame.bottom - from.1),
    ];
    for (towards, room) in sides {
        if towards == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if towards < 0.0 {
            start = start.max(room / towards);
        } else {
            end = end.min(room / towards);
        }
    }
    let at = |t: f64| (from.0 + t * dx, from.1 + t * dy);
    (start <= end).then(|| {
        let first = if start == 0.0 { from } else { at(start) };
        (first, if end == 1.0 { to } else { at(end) })
    })
}

/// Sutherland and Hodgman: the part of a polygon inside `frame`.
pub(super) fn polygon(corners: &[Point], frame: Rect) -> Vec<Point> {
    let axis = |p: Point, horizontal: bool| if horizontal { p.0 } else { p.1 };
    let mut kept = corners.to_vec();
    let sides = [
        (true, frame.left, 1.0),
        (true, frame.right, -1.0),
        (false, frame.top, 1.0),
        (false, frame.bottom, -1.0),
    ];
    for (horizontal, limit, sign) in sides {
        let inside = |p: Point| (axis(p, horizontal) - limit) * sign >= 0.0;
        let input = std::mem::take(&mut kept);
        for (i, &here) in input.iter().enumerate() {
            let before = input[(i + input.len() - 1) % input.len()];
            if inside(here) != inside(before) {
                let t = (limit - axis(before, horizontal))
                    / (axis(here, horizontal) - axis(before, horizontal));
                kept.push((
                    before.0 + t * (here.0 - before.0),
                    before.1 + t * (here.1 - before.1),
                ));
            }
            if inside(here) {
                kept.push(here);
            }
        }
    }
    kept
}

/// The line with at most four points a pixel column: first, lowest, highest and last, in their
/// order. It looks the same, and SVG files of long trainings stay small.
///
/// Lines that turn back in x are left alone.
pub(super) fn thin(points: &[Point]) -> Vec<Point> {
    if points.len() < 256 || points.windows(2).any(|pair| pair[1].0 < pair[0].0) {
        return points.to_vec();
    }
    let column = |p: &Point| p.0.floor();
    let mut thinned = Vec::new();
    for group in points.chunk_by(|a, b| column(a) == column(b)) {
        let by_height = |a: &usize, b: &usize| group[*a].1.total_cmp(&group[*b].1);
        let low = (0..group.len()).min_by(by_height).unwrap_or(0);
        let high = (0..group.len()).max_by(by_height).unwrap_or(0);
        let mut kept = [0, low.min(high), low.max(high), group.len() - 1].to_vec();
        kept.dedup();
        thinned.extend(kept.into_iter().map(|i| group[i]));
    }
    thinned
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Rect = Rect {
        left: 0.0,
        top: 0.0,
        right: 10.0,
        bottom: 10.0,
    };

    #[test]
    fn lines_are_cut_at_the_frame() {
        let parts = polyline(
            &[
                (-5.0, 5.0),
                (5.0, 5.0),
                (5.0, 20.0),
                (7.0, 20.0),
                (7.0, 5.0),
            ],
            FRAME,
        );
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0], [(0.0, 5.0), (5.0, 5.0), (5.0, 10.0)]);
        assert_eq!(parts[1], [(7.0, 10.0), (7.0, 5.0)]);
        assert!(polyline(&[(-1.0, -1.0), (-2.0, 20.0)], FRAME).is_empty());
        assert_eq!(polyline(&[(1.0, 1.0)], FRAME), [[(1.0, 1.0)]]);
    }

    #[test]
    fn polygons_are_cut_at_the_frame() {
        let cut = polygon(&[(-5.0, -5.0), (5.0, -5.0), (5.0, 5.0), (-5.0, 5.0)], FRAME);
        assert!(cut.iter().all(|&p| FRAME.contains(p)));
        assert_eq!(cut.len(), 4);
        assert!(polygon(&[(20.0, 0.0), (30.0, 0.0), (30.0, 5.0)], FRAME).is_empty());
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let points: Vec<Point> = (0..10_000)
            .map(|i| (i as f64 / 100.0, ((i * 7919) % 997) as f64))
            .collect();
        let thinned = thin(&points);
        assert!(thinned.len() <= 400);
        let top = |points: &[Point]| points.iter().map(|p| p.1).fold(0.0, f64::max);
        assert_eq!(top(&points), top(&thinned));
        assert_eq!(
            (points.first(), points.last()),
            (thinned.first(), thinned.last())
        );
    }
}
