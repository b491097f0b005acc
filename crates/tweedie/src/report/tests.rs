//! Charts and scatter rows from whatever a run may hand over.

use super::*;

const INF: f64 = f64::INFINITY;

fn styles() -> [Style; 6] {
    use Style::*;
    [Line, Dashed, Step, Points, LinePoints, Bars]
}

/// Data that charts must survive.
fn awkward() -> Vec<Vec<(f64, f64)>> {
    vec![
        vec![],
        vec![(1.0, 2.0)],
        vec![(0.0, 0.0)],
        vec![(f64::NAN, 1.0), (2.0, f64::NAN), (INF, -INF)],
        vec![(1.0, 5.0), (2.0, 5.0), (3.0, 5.0)],
        vec![(2.0, 1.0), (2.0, 3.0)],
        vec![
            (-1.0, -4.0),
            (0.0, 0.0),
            (1.0, f64::NAN),
            (1.0, 1e-320),
            (3.0, 7.0),
        ],
        vec![
            (1e-310, 1e308),
            (1e300, -1e300),
            (f64::MAX, f64::MIN),
            (5.0, 1e299),
        ],
        vec![(1e15, 1.0), (1e15 + 1.0, 1.0 + 1e-15), (1e15 + 2.0, 1.0)],
        (0..5000)
            .map(|i| (i as f64, ((i * 7919) % 101) as f64 - 3.0))
            .collect(),
    ]
}

#[test]
fn charts_survive_awkward_data_on_every_scale() {
    for points in awkward() {
        let band: Vec<_> = points.iter().map(|&(x, y)| (x, y - 1.0, y + 1.0)).collect();
        for (x, y) in [
            (Axis::linear("x"), Axis::linear("y")),
            (Axis::log("x"), Axis::log("y")),
            (
                Axis::log("").range(0.1, 2.0),
                Axis::linear("").range(-0.5, 0.5),
            ),
        ] {
            let mut chart = Chart::new("t").x(x).y(y).note("n");
            for style in styles() {
                let series = Series::new(format!("{style:?}"), points.clone(), style);
                chart = chart.series(series.band(band.clone()));
            }
            let picture = chart.png(320, 240).unwrap();
            assert_eq!((picture.width(), picture.height()), (320, 240));
            let svg = chart.svg(900, 560).unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}

#[test]
fn scatters_survive_awkward_data() {
    for points in awkward() {
        let points: Vec<[f64; 2]> = points.iter().map(|&(x, y)| [x, y]).collect();
        let cloud = Cloud::new("c", points.clone());
        let row = Scatter::new("s")
            .cloud(cloud)
            .cloud(Cloud::new("p", []).paths([points, vec![]]));
        let picture = row.png(160).unwrap();
        assert!(picture.width() > 320 && picture.height() > 160);
        let svg = row.clone().range(-1.0, 1.0).svg(160).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
    assert!(Scatter::new("").png(160).is_ok());
}

#[test]
fn drawing_twice_gives_the_same_bytes() {
    let points = (1..400).map(|i| (f64::from(i), (f64::from(i) / 20.0).sin() + 1.1));
    let chart = Chart::new("Σ")
        .x(Axis::log("x"))
        .series(Series::line("a", points));
    let png = |chart: &Chart| chart.png(640, 400).unwrap().png_bytes().unwrap();
    assert_eq!(png(&chart), png(&chart.clone()));
    assert_eq!(chart.svg(640, 400).unwrap(), chart.svg(640, 400).unwrap());
    let row = Scatter::new("").cloud(Cloud::new("c", [[0.0, 1.0], [2.0, 3.0]]));
    assert_eq!(row.png(200).unwrap(), row.png(200).unwrap());
    assert_eq!(row.svg(200).unwrap(), row.svg(200).unwrap());
}

#[test]
fn text_is_drawn_in_the_embedded_font_alone() {
    let dark = |title: &str| {
        let picture = Chart::new(title).png(400, 300).unwrap();
        let title = (0..40).flat_map(|y| (0..400).map(move |x| (x, y)));
        let pixels: Vec<(usize, usize)> = title
            .filter(|&(x, y)| picture.pixel(x, y).is_some_and(|p| p[0] < 128))
            .collect();
        let across = |end: fn(usize, usize) -> usize| pixels.iter().map(|p| p.0).reduce(end);
        let width = across(usize::max).zip(across(usize::min));
        (pixels.len(), width.map_or(0, |(right, left)| right - left))
    };
    let (pixels, width) = dark("noise level σᵢ ≤ 10⁻³");
    // Kerning and the room beside the first and the last letter: a few pixels.
    let expected = font::width("noise level σᵢ ≤ 10⁻³", 20.0);
    assert!(
        pixels > 300 && (width as f64 - expected).abs() < 6.0,
        "{pixels} {width} {expected}"
    );
    // What the font lacks is a box, on a machine with such a font too.
    assert_eq!(dark("\u{6570}\u{6570}"), dark("\u{636e}\u{636e}"));
    assert!(dark("\u{6570}").0 > 20);
}

#[test]
fn text_stays_inside_the_picture() {
    // A title, a legend and labels far too long must not touch the outermost pixels.
    let long = "a very long label that goes on and on ".repeat(8);
    let mut chart = Chart::new(long.clone())
        .x(Axis::log(long.clone()))
        .y(Axis::linear(&long));
    for i in 0..30 {
        chart = chart.series(Series::line(
            format!("{i} {long}"),
            [(1e-5, -1e5), (1e5, 1e5)],
        ));
    }
    let picture = chart.note(long).png(320, 240).unwrap();
    let white = Some([255; 3]);
    for y in 0..240 {
        assert_eq!(
            (picture.pixel(0, y), picture.pixel(319, y)),
            (white, white),
            "row {y}"
        );
    }
    for x in 0..320 {
        assert_eq!(
            (picture.pixel(x, 0), picture.pixel(x, 239)),
            (white, white),
            "column {x}"
        );
    }
}

#[test]
fn data_is_drawn_in_its_color_where_it_belongs() {
    let red = [200, 0, 0];
    let series = Series::line("", [(0.0, 0.5), (1.0, 0.5)]).color(red);
    let axis = || Axis::linear("").range(0.0, 1.0);
    let picture = Chart::new("")
        .x(axis())
        .y(axis())
        .series(series)
        .png(600, 400)
        .unwrap();
    let rows: Vec<usize> = (0..400)
        .filter(|&y| picture.pixel(300, y) == Some(red))
        .collect();
    // Half way between the frame's ends: 24 from above, 41 from below.
    assert!(
        !rows.is_empty() && rows.iter().all(|y| (189..=194).contains(y)),
        "{rows:?}"
    );
}

#[test]
fn markup_in_labels_stays_text_in_svg() {
    let svg = Chart::new("<script>a & b</script>").svg(400, 300).unwrap();
    assert!(svg.contains("&lt;script&gt;a &amp; b") && !svg.contains("<script"));
    assert_eq!(
        svg.matches("http").count(),
        1,
        "only the name of SVG's namespace"
    );
}

#[test]
fn impossible_sizes_and_ranges_are_refused() {
    let chart = Chart::new("");
    assert!(chart.png(10, 400).is_err() && chart.svg(400, 9000).is_err());
    let error = chart
        .x(Axis::linear("").range(2.0, 1.0))
        .png(400, 300)
        .unwrap_err();
    assert!(error.to_string().contains("range of the x axis"), "{error}");
    assert!(Scatter::new("").png(100).is_err());
    assert!(Scatter::new("").range(0.0, INF).png(200).is_err());
    let many = (0..40).fold(Scatter::new(""), |row, _| row.cloud(Cloud::default()));
    assert!(many.png(4096).is_err());
}
