//! Curves of a run as one PNG line plot: axes, a legend, every series raw (thin) and smoothed (thick). Leaves out
//! which measurements are worth plotting and the file.

use super::{
    ImageError,
    condense::{Column, condense, smooth},
    encode_png,
    font::{self, FONT},
};
use plotters::{
    coord::{Shift, ranged1d::BoldPoints, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use std::{fmt::Display, ops::Range};

/// One curve: its name in the legend and its points.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// Step and value. A value that is not finite (or beyond what f32 holds) is a gap; a step that is not is left out.
    pub points: Vec<(f64, f64)>,
}

/// Width of the plot in pixels.
const WIDTH: usize = 960;
/// Height of the plot in pixels.
const HEIGHT: usize = 540;
/// Pixels drawn per pixel and side: the drawing is averaged down, for smooth lines whatever their width.
const SCALE: usize = 2;
/// Line colours, told apart also by most colour-blind eyes; they repeat after the last.
pub(super) const COLOURS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 73, 51),
    RGBColor(44, 145, 88),
    RGBColor(137, 87, 176),
    RGBColor(227, 144, 23),
    RGBColor(23, 168, 184),
    RGBColor(201, 80, 140),
    RGBColor(110, 100, 90),
];
pub(super) const INK: RGBColor = RGBColor(45, 50, 58);
pub(super) const FAINT_INK: RGBColor = RGBColor(110, 116, 124);
/// About how many labels the value axis gets.
const VALUE_LABELS: usize = 8;
pub(super) const GRID: RGBColor = RGBColor(229, 231, 235);
const BACKGROUND: RGBColor = RGBColor(255, 255, 255);

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, BitMapBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Plots `series` under `title` as a PNG of 960 by 540 pixels.
///
/// The axes cover every finite point. Each series is thinned to the extremes of each pixel column, so that a million
/// points show what all of them would, and drawn twice: thin as it is, thick as its local trend (a linear fit over about a
/// tenth of the series). A series with nothing to draw says so in the legend; a lone point is a dot.
///
/// Errors: the drawing library or the PNG encoder fails. No values of `series` are an error.
pub fn encode_curves(title: &str, series: &[Series]) -> Result<Vec<u8>, ImageError> {
    font::ready()?;
    let (width, height) = (WIDTH * SCALE, HEIGHT * SCALE);
    let mut pixels = vec![0; width * height * 3];
    {
        let backend = BitMapBackend::with_buffer(&mut pixels, (width as u32, height as u32));
        let area = backend.into_drawing_area();
        draw(&area, title, series)?;
        area.present().map_err(plot_error)?;
    }
    encode_png(&average(&pixels, width), WIDTH, HEIGHT, png::ColorType::Rgb)
}

pub(super) fn plot_error(error: impl Display) -> ImageError {
    ImageError::Plot(error.to_string())
}

/// Pixels of the finished plot as pixels of the drawing.
const fn px(pixels: i32) -> i32 {
    pixels * SCALE as i32
}

fn font(pixels: i32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, f64::from(px(pixels))).into_font().color(&colour)
}

fn draw(area: &Area, title: &str, series: &[Series]) -> Result<(), ImageError> {
    area.fill(&BACKGROUND).map_err(plot_error)?;
    area.draw(&Text::new(title.to_owned(), (px(18), px(12)), font(20, INK))).map_err(plot_error)?;

    let steps = range(series.iter().flat_map(|s| &s.points).filter(|p| usable(p.1)).map(|p| p.0));
    let curves: Vec<_> = series.iter().map(|s| condense(&s.points, steps.clone().unwrap_or(0.0..1.0))).collect();
    let top = draw_legend(area, series, &curves)?;

    let values = range(curves.iter().flatten().flat_map(|run| run.iter().flat_map(|column| [column.low, column.high])));
    let (steps, values) = (widen(steps, 0.0), widen(values, 0.05));
    let (_, plot) = area.split_vertically(top);
    let mut chart = ChartBuilder::on(&plot)
        .margin_right(px(24))
        .margin_top(px(8))
        .margin_bottom(px(8))
        .x_label_area_size(px(40))
        .y_label_area_size(px(66))
        .build_cartesian_2d(steps.clone(), values.clone())
        .map_err(plot_error)?;
    chart
        .configure_mesh()
        .x_labels(10)
        .y_labels(VALUE_LABELS)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(px(1) as u32))
        .axis_style(FAINT_INK.stroke_width(px(1) as u32))
        .label_style(font(13, INK))
        .axis_desc_style(font(13, FAINT_INK))
        .x_label_formatter(&|step| label(*step, &steps))
        .y_label_formatter(&|_| String::new())
        .x_desc("step")
        .draw()
        .map_err(plot_error)?;

    draw_value_labels(area, &chart, &values)?;

    // All raw lines first: no smoothed line is hidden behind another series' noise.
    for (index, curve) in curves.iter().enumerate() {
        let style = pale(COLOURS[index % COLOURS.len()]).stroke_width(2);
        for run in curve {
            let raw: Vec<_> = run.iter().flat_map(|column| column.points.iter().copied()).collect();
            // Segment by segment: the mitres of a longer path would stick out far beyond its sharp turns.
            let segments = raw.windows(2).map(|ends| PathElement::new(ends, style));
            chart.draw_series(segments).map_err(plot_error)?;
        }
    }
    for (index, curve) in curves.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        for run in curve {
            let smoothed = smooth(run);
            let radius = if smoothed.len() == 1 { px(3) } else { px(1) };
            let segments = smoothed.windows(2).map(|ends| PathElement::new(ends, colour.stroke_width(5)));
            chart.draw_series(segments).map_err(plot_error)?;
            // Round joins, or the dot of a lone point.
            let joins = smoothed.iter().map(|&point| Circle::new(point, radius, colour.filled()));
            chart.draw_series(joins).map_err(plot_error)?;
        }
    }
    Ok(())
}

/// The colour of raw lines: opaque, since translucent lines that cross many times become as dark as the smoothed one.
fn pale(colour: RGBColor) -> RGBColor {
    let lighten = |channel: u8| 255 - ((255 - channel) / 3);
    RGBColor(lighten(colour.0), lighten(colour.1), lighten(colour.2))
}

/// Writes the labels of the value axis: plotters would set them a quarter of a line above their ticks.
fn draw_value_labels(area: &Area, chart: &Chart, values: &Range<f64>) -> Result<(), ImageError> {
    let style = font(13, INK).pos(Pos::new(HPos::Right, VPos::Center));
    let (left, _) = chart.plotting_area().get_pixel_range();
    for value in RangedCoordf64::from(values.clone()).key_points(BoldPoints(VALUE_LABELS)) {
        let (_, y) = chart.plotting_area().map_coordinate(&(0.0, value));
        let at = (left.start - px(8), y + px(3));
        area.draw(&Text::new(label(value, values), at, style.clone())).map_err(plot_error)?;
    }
    Ok(())
}

/// Writes the legend in rows under the title; returns where the rows end.
fn draw_legend(area: &Area, series: &[Series], curves: &[Vec<Vec<Column>>]) -> Result<i32, ImageError> {
    let (mut left, mut top) = (px(18), px(44));
    for (index, (series, curve)) in series.iter().zip(curves).enumerate() {
        let name = if curve.is_empty() { format!("{} (no values)", series.name) } else { series.name.clone() };
        let style = font(14, INK);
        let width = px(26) + area.estimate_text_size(&name, &style).map_err(plot_error)?.0 as i32;
        if left > px(18) && left + width > px(WIDTH as i32 - 18) {
            (left, top) = (px(18), top + px(20));
        }
        // A legend that leaves the plot no room is cut short.
        if top > px(HEIGHT as i32 / 2) {
            break;
        }
        let colour = COLOURS[index % COLOURS.len()];
        let line = [(left, top + px(3)), (left + px(18), top + px(5))];
        area.draw(&Rectangle::new(line, colour.filled())).map_err(plot_error)?;
        area.draw(&Text::new(name, (left + px(24), top), style)).map_err(plot_error)?;
        left += width + px(18);
    }
    Ok(top + px(24))
}

/// Whether a value can be drawn. What f32 cannot hold is no measurement, and would overflow sums.
pub(super) fn usable(value: f64) -> bool {
    value.abs() <= f64::from(f32::MAX)
}

/// The range of the usable values, if there are any.
fn range(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let mut usable = values.filter(|value| usable(*value));
    let first = usable.next()?;
    Some(usable.fold(first..first, |range, value| range.start.min(value)..range.end.max(value)))
}

/// Adds `margin`, a fraction, at both ends; a range of one value, or none, gets a width.
pub(super) fn widen(range: Option<Range<f64>>, margin: f64) -> Range<f64> {
    let Range { start, end } = range.unwrap_or(0.0..1.0);
    let least = start.abs().max(end.abs()) * 1e-9;
    let extra = if end - start > least { (end - start) * margin } else { (start.abs() * 0.1).max(0.5) };
    start - extra..end + extra
}

/// A tick label: as many digits as ticks over `range` need, thousands as k and millions as M.
pub(super) fn label(value: f64, range: &Range<f64>) -> String {
    let spacing = (range.end - range.start) / 10.0;
    let largest = range.start.abs().max(range.end.abs());
    if !(1e-4..1e10).contains(&largest) {
        return if value.abs() < spacing * 1e-3 { "0".to_owned() } else { format!("{value:.1e}") };
    }
    let (unit, suffix) = match largest {
        1e7.. => (1e6, "M"),
        1e4.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    let digits = (1.0 - (spacing / unit).log10()).ceil().clamp(0.0, 9.0) as usize;
    let text = format!("{:.digits$}", value / unit);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if matches!(text, "0" | "-0") { "0".to_owned() } else { format!("{text}{suffix}") }
}

/// Averages each square of `SCALE` by `SCALE` RGB pixels into one; `width` is that of the large picture.
pub(super) fn average(pixels: &[u8], width: usize) -> Vec<u8> {
    let stride = width * 3;
    let mut small = Vec::with_capacity(pixels.len() / (SCALE * SCALE));
    for rows in pixels.chunks_exact(stride * SCALE) {
        for column in 0..width / SCALE {
            for channel in 0..3 {
                let sum: usize = (0..SCALE * SCALE)
                    .map(|i| usize::from(rows[i / SCALE * stride + (column * SCALE + i % SCALE) * 3 + channel]))
                    .sum();
                small.push((sum / (SCALE * SCALE)) as u8);
            }
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::decode_png;

    fn series(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series { name: name.to_owned(), points: points.into_iter().collect() }
    }

    /// Plots and returns the pixels; every plot must be whole.
    fn plot(series: &[Series]) -> Vec<[u8; 3]> {
        let (width, height, colour, pixels) = decode_png(&encode_curves("losses", series).unwrap());
        assert_eq!((width, height, colour), (WIDTH, HEIGHT, png::ColorType::Rgb));
        pixels.as_chunks().0.to_vec()
    }

    /// Rows, below the legend, where some pixel has exactly the colour of series `index`.
    fn rows_of(pixels: &[[u8; 3]], index: usize) -> Vec<usize> {
        let RGBColor(r, g, b) = COLOURS[index];
        (80..HEIGHT).filter(|row| pixels[row * WIDTH..][..WIDTH].contains(&[r, g, b])).collect()
    }

    #[test]
    fn larger_values_are_higher_and_every_series_has_its_colour() {
        let pixels = plot(&[
            series("loss_d", (0..100).map(|i| (f64::from(i), 1.0))),
            series("loss_g", (0..100).map(|i| (f64::from(i), 2.0))),
        ]);
        let (low, high) = (rows_of(&pixels, 0), rows_of(&pixels, 1));
        assert!(!low.is_empty() && !high.is_empty());
        assert!(high.iter().max() < low.iter().min(), "{high:?} is not above {low:?}");
        assert_eq!(pixels[WIDTH * HEIGHT - 1], [255; 3]);
    }

    #[test]
    fn text_is_drawn() {
        let title = |text| decode_png(&encode_curves(text, &[]).unwrap()).3;
        assert_ne!(title("a"), title("b"));
    }

    #[test]
    fn degenerate_series_are_drawn_without_a_panic() {
        let nan = f64::NAN;
        plot(&[]);
        plot(&[series("", [])]);
        plot(&[series("nan", (0..9).map(|i| (f64::from(i), nan)))]);
        plot(&[series("no steps", [(nan, 1.0), (f64::INFINITY, 2.0)])]);
        plot(&[series("huge", [(0.0, f64::MAX), (1.0, f64::MIN), (2.0, 3e38), (f64::MAX, 0.0), (3.0, -3e38)])]);
        plot(&[series("tiny", [(0.0, 1e-300), (1.0, 2e-300)]), series("zero", [(0.0, 0.0), (0.0, 0.0)])]);
        plot(&[series("far", [(1e15, 1e15), (1e15 + 1.0, 1e15 + 0.125)])]);
        let many: Vec<_> = (0..200).map(|i| series(&"long name ".repeat(i), [(0.0, i as f64)])).collect();
        plot(&many);
        assert!(!rows_of(&plot(&[series("point", [(5.0, 5.0)])]), 0).is_empty());
        assert!(!rows_of(&plot(&[series("constant", (0..9).map(|i| (f64::from(i), -3.0)))]), 0).is_empty());
    }

    #[test]
    fn a_gap_stays_empty() {
        let points = (0..=900).map(|i| (f64::from(i), if (300..600).contains(&i) { f64::NAN } else { 1.0 }));
        let pixels = plot(&[series("gap", points)]);
        let row = rows_of(&pixels, 0)[0];
        let blank = pixels[row * WIDTH + 400..][..200].iter().all(|pixel| pixel[0] > 200);
        assert!(blank, "the gap is drawn over");
    }

    #[test]
    fn labels_have_the_digits_they_need() {
        assert_eq!(label(0.25, &(0.0..1.0)), "0.25");
        assert_eq!(label(2.0, &(0.0..8.0)), "2");
        assert_eq!(label(-0.0, &(-1.0..1.0)), "0");
        assert_eq!(label(20_000.0, &(0.0..100_000.0)), "20k");
        assert_eq!(label(2.5e6, &(0.0..2e7)), "2.5M");
        assert_eq!(label(1.5e12, &(0.0..2e12)), "1.5e12");
        assert_eq!(label(100.0, &(0.0..800.0)), "100");
    }
}
