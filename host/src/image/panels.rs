//! Small multiples: a panel for each of several things, in each a few curves with a band around them, as PNG and SVG from
//! the same drawing. Leaves out what is drawn, and the files.

use std::ops::Range;

use plotters::{
    coord::{Shift, ranged1d::BoldPoints, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    ImageError,
    curves::{COLOURS, FAINT_INK, GRID, INK, average, label, plot_error, widen},
    encode_png,
    font::{self, FONT},
};

/// A curve with a band.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// The name in the legend.
    pub name: String,
    /// Which colour; bands of one name should have one.
    pub colour: usize,
    /// x, value, lower and upper end of the band, by ascending x; all finite.
    pub points: Vec<[f64; 4]>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What stands above it.
    pub title: String,
    /// What is drawn in it.
    pub bands: Vec<Band>,
}

/// Width and height of a panel.
const PANEL: (i32, i32) = (340, 250);
/// Height of title and legend, and of the words under the lowest panels.
const HEAD: i32 = 62;
const FOOT: i32 = 26;
/// Sizes of the title's letters, and the height of a further line of small ones.
const LARGE: i32 = 17;
const SMALL: i32 = 12;
const LINE: i32 = 16;
const MARGIN: i32 = 14;
/// Panels side by side at most.
const COLUMNS: usize = 4;
/// Pixels drawn per pixel and side of the PNG.
const SCALE: i32 = 2;
/// Values that span more than this many times their least are drawn on a logarithmic axis.
const WIDE: f64 = 8.0;

/// Draws panels under a title, as a PNG and as an SVG of the same size in CSS pixels.
///
/// Each panel has its own axes. The value axes are logarithmic where all values are above 0 and the largest is more than 8
/// times the least; the band is cut off where it would leave the axis.
///
/// # Errors
/// No panel, or the drawing library fails.
pub fn encode_panels(title: &str, x_label: &str, panels: &[Panel]) -> Result<(Vec<u8>, String), ImageError> {
    font::ready()?;
    if panels.is_empty() {
        return Err(ImageError::Zero { what: "a number of panels" });
    }
    let columns = ((panels.len() as f64).sqrt().ceil() as usize).min(COLUMNS);
    let rows = panels.len().div_ceil(columns) as i32;
    let title = Title::fit(title, columns as i32 * PANEL.0)?;
    let size = ((columns as i32 * PANEL.0 + 2 * MARGIN) as u32, (rows * PANEL.1 + title.head() + FOOT) as u32);
    let logarithmic = wide(panels);
    let large = (size.0 as usize * SCALE as usize, size.1 as usize * SCALE as usize);
    let mut pixels = vec![0; large.0 * large.1 * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (large.0 as u32, large.1 as u32)).into_drawing_area();
        Drawing { scale: SCALE, columns, logarithmic }.all(&area, &title, x_label, panels)?;
        area.present().map_err(plot_error)?;
    }
    let small = average(&pixels, large.0);
    let png = encode_png(&small, size.0 as usize, size.1 as usize, png::ColorType::Rgb)?;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        Drawing { scale: 1, columns, logarithmic }.all(&area, &title, x_label, panels)?;
        area.present().map_err(plot_error)?;
    }
    // The built-in font has no name outside.
    let named = svg.replace(&format!("font-family=\"{FONT}\""), "font-family=\"DejaVu Sans, Verdana, sans-serif\"");
    Ok((png, named))
}

/// A title broken into lines.
struct Title {
    lines: Vec<String>,
    size: i32,
}

impl Title {
    /// A long one is written smaller, and then on more lines, before it is cut by the edge.
    fn fit(text: &str, width: i32) -> Result<Self, ImageError> {
        for size in (SMALL..=LARGE).rev() {
            if letters(text, size)? <= width {
                return Ok(Self { lines: vec![text.to_owned()], size });
            }
        }
        let (mut lines, mut line) = (Vec::new(), String::new());
        for word in text.split(' ') {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if letters(&longer, SMALL)? <= width {
                line = longer;
                continue;
            }
            // A word that is wider than a line is broken anywhere.
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                line.push(letter);
                if letters(&line, SMALL)? > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, letter.to_string()));
                }
            }
        }
        lines.push(line);
        Ok(Self { lines, size: SMALL })
    }

    /// What the lines after the first add to the height.
    fn more(&self) -> i32 {
        (self.lines.len() as i32 - 1) * LINE
    }

    fn head(&self) -> i32 {
        HEAD + self.more()
    }
}

/// The width of a text in letters of this size.
fn letters(text: &str, size: i32) -> Result<i32, ImageError> {
    Ok((FONT, f64::from(size)).into_font().box_size(text).map_err(plot_error)?.0 as i32)
}

/// How large and in how many columns.
struct Drawing {
    scale: i32,
    columns: usize,
    logarithmic: bool,
}

/// Whether the values of all panels are above 0 and span more than [`WIDE`] times their least.
fn wide(panels: &[Panel]) -> bool {
    let means = || panels.iter().flat_map(|p| &p.bands).flat_map(|b| &b.points).map(|p| p[1]);
    let (low, high) = (means().fold(f64::MAX, f64::min), means().fold(f64::MIN, f64::max));
    low > 0.0 && high > low * WIDE
}

type Chart<'a, DB, Y> = ChartContext<'a, DB, Cartesian2d<RangedCoordf64, Y>>;

impl Drawing {
    fn px(&self, pixels: i32) -> i32 {
        pixels * self.scale
    }

    fn font(&self, pixels: i32, colour: RGBColor) -> TextStyle<'static> {
        (FONT, f64::from(self.px(pixels))).into_font().color(&colour)
    }

    fn all<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        title: &Title,
        x_label: &str,
        panels: &[Panel],
    ) -> Result<(), ImageError> {
        area.fill(&WHITE).map_err(plot_error)?;
        let width = area.dim_in_pixel().0 as i32;
        for (at, line) in (0..).zip(&title.lines) {
            let at = (self.px(MARGIN), self.px(12 + at * LINE));
            area.draw(&Text::new(line.clone(), at, self.font(title.size, INK))).map_err(plot_error)?;
        }
        self.legend(area, self.px(38 + title.more()), panels)?;
        let (_, body) = area.split_vertically(self.px(title.head()));
        let (body, foot) = body.split_vertically(body.dim_in_pixel().1 as i32 - self.px(FOOT));
        let body = body.margin(0, 0, self.px(MARGIN), self.px(MARGIN));
        let rows = panels.len().div_ceil(self.columns);
        for (cell, panel) in body.split_evenly((rows, self.columns)).iter().zip(panels) {
            self.panel(cell, panel)?;
        }
        let style = self.font(12, FAINT_INK).pos(Pos::new(HPos::Center, VPos::Top));
        foot.draw(&Text::new(x_label.to_owned(), (width / 2, self.px(4)), style)).map_err(plot_error)
    }

    fn value(&self, tick: f64, range: &Range<f64>) -> String {
        if self.logarithmic { short(tick) } else { label(tick, range) }
    }

    fn width<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        text: &str,
        size: i32,
    ) -> Result<i32, ImageError> {
        Ok(area.estimate_text_size(text, &self.font(size, INK)).map_err(plot_error)?.0 as i32)
    }

    /// Every name once.
    fn legend<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        top: i32,
        panels: &[Panel],
    ) -> Result<(), ImageError> {
        let mut names: Vec<(&str, usize)> = Vec::new();
        for band in panels.iter().flat_map(|p| &p.bands) {
            if !names.iter().any(|(name, _)| *name == band.name) {
                names.push((&band.name, band.colour));
            }
        }
        let mut left = self.px(MARGIN);
        for (name, colour) in names {
            let bar = [(left, top + self.px(5)), (left + self.px(18), top + self.px(8))];
            area.draw(&Rectangle::new(bar, COLOURS[colour % COLOURS.len()].filled())).map_err(plot_error)?;
            let style = self.font(13, INK);
            area.draw(&Text::new(name.to_owned(), (left + self.px(24), top), style)).map_err(plot_error)?;
            left += self.px(24 + 22) + self.width(area, name, 13)?;
        }
        Ok(())
    }

    fn panel<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, panel: &Panel) -> Result<(), ImageError> {
        let style = self.font(13, INK);
        area.draw(&Text::new(panel.title.clone(), (self.px(52), self.px(6)), style)).map_err(plot_error)?;
        let points = || panel.bands.iter().flat_map(|b| &b.points);
        let of = |at: usize| points().map(move |p| p[at]);
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold(None, |range: Option<Range<f64>>, v| Some(range.map_or(v..v, |r| r.start.min(v)..r.end.max(v))))
        };
        let x = widen(range(&mut of(0).chain([0.0])), 0.02);
        // Times and counts begin at 0, whatever the margin.
        let x = 0.0..x.end;
        let means = range(&mut of(1)).unwrap_or(0.0..1.0);
        let whole = range(&mut of(2).chain(of(3))).unwrap_or(0.0..1.0);
        let mut builder = ChartBuilder::on(area);
        builder
            .margin_top(self.px(28))
            .margin_right(self.px(10))
            .x_label_area_size(self.px(24))
            .y_label_area_size(self.px(50));
        if self.logarithmic {
            let low = whole.start.max(means.start * 0.7);
            let y = low * 0.92..whole.end * 1.08;
            let chart = builder.build_cartesian_2d(x.clone(), y.clone().log_scale()).map_err(plot_error)?;
            self.curves(area, chart, panel, (&x, &y), &decades(&y))
        } else {
            let y = widen(Some(whole), 0.06);
            let chart = builder.build_cartesian_2d(x.clone(), y.clone()).map_err(plot_error)?;
            let ticks = RangedCoordf64::from(y.clone()).key_points(BoldPoints(6));
            self.curves(area, chart, panel, (&x, &y), &ticks)
        }
    }

    fn curves<DB: DrawingBackend, Y: Ranged<ValueType = f64>>(
        &self,
        area: &DrawingArea<DB, Shift>,
        mut chart: Chart<'_, DB, Y>,
        panel: &Panel,
        (x, y): (&Range<f64>, &Range<f64>),
        ticks: &[f64],
    ) -> Result<(), ImageError> {
        let line = self.px(1) as u32;
        for &tick in ticks {
            let ends = [(x.start, tick), (x.end, tick)];
            chart.draw_series([PathElement::new(ends, GRID.stroke_width(line))]).map_err(plot_error)?;
        }
        let origin = area.get_base_pixel();
        let place = |chart: &Chart<'_, DB, Y>, at: (f64, f64)| {
            let (x, y) = chart.plotting_area().map_coordinate(&at);
            (x - origin.0, y - origin.1)
        };
        for &tick in ticks {
            let (left, top) = place(&chart, (x.start, tick));
            let style = self.font(11, FAINT_INK).pos(Pos::new(HPos::Right, VPos::Center));
            let text = Text::new(self.value(tick, y), (left - self.px(6), top + self.px(2)), style);
            area.draw(&text).map_err(plot_error)?;
        }
        for tick in RangedCoordf64::from(x.clone()).key_points(BoldPoints(5)) {
            let (left, top) = place(&chart, (tick, y.start));
            let style = self.font(11, FAINT_INK).pos(Pos::new(HPos::Center, VPos::Top));
            area.draw(&Text::new(label(tick, x), (left, top + self.px(6)), style)).map_err(plot_error)?;
        }
        let floor = [(x.start, y.start), (x.end, y.start)];
        chart.draw_series([PathElement::new(floor, FAINT_INK.stroke_width(line))]).map_err(plot_error)?;
        for band in &panel.bands {
            let colour = COLOURS[band.colour % COLOURS.len()];
            let inside = |v: f64| v.clamp(y.start, y.end);
            let up = band.points.iter().map(|p| (p[0], inside(p[3])));
            let down = band.points.iter().rev().map(|p| (p[0], inside(p[2])));
            let outline: Vec<_> = up.chain(down).collect();
            chart.draw_series([Polygon::new(outline, colour.mix(0.18))]).map_err(plot_error)?;
        }
        for band in &panel.bands {
            let colour = COLOURS[band.colour % COLOURS.len()];
            let mean: Vec<_> = band.points.iter().map(|p| (p[0], p[1])).collect();
            let path = PathElement::new(mean.clone(), colour.stroke_width(self.px(2) as u32));
            chart.draw_series([path]).map_err(plot_error)?;
            let dots = mean.iter().map(|&at| Circle::new(at, self.px(2), colour.filled()));
            chart.draw_series(dots).map_err(plot_error)?;
        }
        Ok(())
    }
}

/// 1, 2 and 5 times powers of ten inside a range.
fn decades(range: &Range<f64>) -> Vec<f64> {
    let (from, to) = (range.start.log10().floor() as i32, range.end.log10().ceil() as i32);
    let all = (from..=to).flat_map(|power| [1.0, 2.0, 5.0].map(|m| m * 10_f64.powi(power)));
    all.filter(|tick| range.contains(tick)).collect()
}

/// A tick of a logarithmic axis.
fn short(value: f64) -> String {
    if (1e-4..1e6).contains(&value) { format!("{}", (value * 1e6).round() / 1e6) } else { format!("{value:.0e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::decode_png;

    fn panel(title: &str, values: &[f64]) -> Panel {
        let points = values.iter().enumerate().map(|(i, &v)| [i as f64, v, v * 0.9, v * 1.1]).collect();
        Panel { title: title.into(), bands: vec![Band { name: "one stage".into(), colour: 0, points }] }
    }

    #[test]
    fn panels_are_drawn_in_columns_as_both_kinds() {
        let panels = [panel("A", &[300.0, 30.0, 12.0]), panel("B", &[3.0, 2.0, 2.5]), panel("C", &[1.0])];
        let (png, svg) = encode_panels("FID", "seconds", &panels).unwrap();
        let (width, height, ..) = decode_png(&png);
        assert_eq!((width, height), ((2 * PANEL.0 + 2 * MARGIN) as usize, (2 * PANEL.1 + HEAD + FOOT) as usize));
        assert!(svg.starts_with("<svg width=\"708\" height=\"588\""), "{}", &svg[..80]);
        assert!(svg.contains("one stage") && !svg.contains(FONT));
        assert_eq!(svg.matches("<polygon").count(), 3);
    }

    #[test]
    fn a_long_title_takes_more_lines_and_none_is_cut() {
        font::ready().unwrap();
        let name = "KID (inception-2015-12-05, n=10000 in 100x1000 against 202599 of img_align_celeba, 64x64 into the extractor, uint8), CelebA";
        let title = Title::fit(name, PANEL.0).unwrap();
        assert!(title.lines.len() > 1, "{:?}", title.lines);
        assert_eq!(title.lines.join(" "), name);
        let fits = |title: &Title| title.lines.iter().all(|l| letters(l, title.size).unwrap() <= PANEL.0);
        assert!(fits(&title), "{:?}", title.lines);
        let word = Title::fit(&"m".repeat(100), PANEL.0).unwrap();
        assert!(fits(&word) && word.lines.concat().len() == 100, "{:?}", word.lines);
        assert_eq!(Title::fit("FID", PANEL.0).unwrap().lines, ["FID"]);
        // The picture is as much higher.
        let height =
            |title: &str| decode_png(&encode_panels(title, "seconds", &[panel("A", &[1.0, 2.0])]).unwrap().0).1;
        assert_eq!(height(name) as i32, height("FID") as i32 + title.more());
    }

    #[test]
    fn a_logarithmic_axis_has_round_ticks() {
        assert_eq!(decades(&(9.0..320.0)), [10.0, 20.0, 50.0, 100.0, 200.0]);
        assert_eq!([0.001, 0.02, 500.0, 1e6].map(short), ["0.001", "0.02", "500", "1e6"]);
        assert_eq!(
            encode_panels("", "", &[]).unwrap_err().to_string(),
            "image grid: expected a number of panels of at least 1, found 0"
        );
    }
}
