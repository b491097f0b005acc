//! Colors: a palette that color-blind readers can tell apart, and the greys of the frame.

/// Red, green and blue, each 0 to 255.
pub type Color = [u8; 3];

/// Okabe and Ito's color-blind-safe palette without its yellow (too faint on white), ordered so
/// that the first entries differ most, and a dark grey in the place of black.
pub const PALETTE: [Color; 7] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [230, 159, 0],
    [86, 180, 233],
    [85, 85, 85],
];

pub(super) const WHITE: Color = [255, 255, 255];
/// Titles and labels.
pub(super) const INK: Color = [31, 41, 55];
/// Tick labels and notes: 5.7:1 against white, so still easy to read.
pub(super) const SOFT: Color = [84, 93, 107];
/// The axes.
pub(super) const AXIS: Color = [130, 138, 150];
/// Lines at labelled ticks.
pub(super) const GRID: Color = [222, 226, 231];
/// Lines between labelled ticks of a logarithmic axis.
pub(super) const FINE: Color = [240, 242, 245];

/// The palette's color for the series with this index; the palette repeats.
pub(super) fn of_index(index: usize) -> Color {
    PALETTE[index % PALETTE.len()]
}
