//! Line charts as inline SVG: axes, a line as it is (faint) and its trend (bold), a table of points for the script
//! that shows values under the pointer. Colours are the style sheet's.

use std::fmt::Write as _;

use serde_json::json;

use super::numbers::{escape, number};
use crate::image::{condense, smooth};

/// Width and height of the drawing; it scales with the page.
pub(super) const SIZE: (f64, f64) = (560.0, 270.0);
/// Left, top, right and bottom of the plot in it.
pub(super) const PLOT: (f64, f64, f64, f64) = (56.0, 12.0, 548.0, 228.0);
/// Points that the pointer finds.
const POINTED: usize = 400;

/// One line.
pub(super) struct Line {
    pub(super) name: String,
    /// Which of the style sheet's colours, from 1.
    pub(super) colour: usize,
    /// x and value; a value that is not finite is a gap.
    pub(super) points: Vec<(f64, f64)>,
}

/// What a chart shows.
pub(super) struct Chart<'a> {
    /// Unique on the page.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// One sentence under the title.
    pub(super) note: &'a str,
    pub(super) x_label: &'a str,
    pub(super) lines: Vec<Line>,
    /// Whether a trend is drawn: few points are drawn as they are, with dots.
    pub(super) trend: bool,
}

impl Chart<'_> {
    /// The figure; nothing where no line has a value.
    pub(super) fn html(&self) -> String {
        let lines: Vec<&Line> = self.lines.iter().filter(|l| l.points.iter().any(|p| p.1.is_finite())).collect();
        let Some((x, y, outside)) = ranges(&lines) else { return String::new() };
        let mut svg = frame(self.id, &self.summary(&lines), [&x, &y], self.x_label);
        let (left, top, right, bottom) = PLOT;
        let _ = write!(
            svg,
            "<clipPath id=\"{}-clip\"><rect x=\"{left}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath><g clip-path=\"url(#{}-clip)\">",
            self.id,
            top - 4.0,
            right - left + 4.0,
            bottom - top + 6.0,
            self.id
        );
        for line in &lines {
            self.line(&mut svg, line, &x, &y);
        }
        svg += "</g><line class=\"cursor\" y1=\"12\" y2=\"228\" hidden=\"hidden\"/></svg>";
        let legend = lines.iter().fold(String::new(), |text, line| {
            text + &format!("<span class=\"key c{}\">{}</span>", line.colour, escape(&line.name))
        });
        let outside = match outside {
            0 => String::new(),
            n => format!(" {n} outlying readings lie beyond the axis."),
        };
        format!(
            "<figure class=\"card chart\" id=\"{id}\"><figcaption><h3>{}</h3><p>{}{outside}</p><div class=\"legend\">{legend}</div></figcaption>\
             {svg}<div class=\"tip\" hidden></div><script type=\"application/json\">{}</script></figure>\n",
            escape(self.title),
            escape(self.note),
            pointed(&lines, &x, &y),
            id = self.id
        )
    }

    fn line(&self, svg: &mut String, line: &Line, x: &Axis, y: &Axis) {
        let place = |&(at, value): &(f64, f64)| (x.place(at), y.place(value));
        for run in condense(&line.points, x.low..x.high) {
            let raw: Vec<_> = run.iter().flat_map(|column| &column.points).map(place).collect();
            let class = if self.trend { "raw" } else { "line" };
            let _ = write!(svg, "<path class=\"{class} c{}\" d=\"{}\"/>", line.colour, path(&raw));
            if self.trend {
                let smoothed: Vec<_> = smooth(&run).iter().map(place).collect();
                let _ = write!(svg, "<path class=\"line c{}\" d=\"{}\"/>", line.colour, path(&smoothed));
            }
            if !self.trend || raw.len() == 1 {
                for (x, y) in raw {
                    let _ = write!(svg, "<circle class=\"c{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>", line.colour);
                }
            }
        }
    }

    /// What somebody who cannot see the chart is told.
    fn summary(&self, lines: &[&Line]) -> String {
        let parts = lines.iter().filter_map(|line| {
            let finite: Vec<f64> = line.points.iter().map(|p| p.1).filter(|v| v.is_finite()).collect();
            let (low, high) = finite.iter().fold((f64::MAX, f64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
            Some(format!(
                "{}: from {} to {}, between {} and {}",
                line.name,
                number(*finite.first()?),
                number(*finite.last()?),
                number(low),
                number(high)
            ))
        });
        format!("{}. {}", self.title, parts.collect::<Vec<_>>().join("; "))
    }
}

/// The opening of a drawing, with its axes.
pub(super) fn frame(id: &str, summary: &str, [x, y]: [&Axis; 2], x_label: &str) -> String {
    let (left, _, right, bottom) = PLOT;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-title\"><title id=\"{id}-title\">{}</title>",
        SIZE.0,
        SIZE.1,
        escape(summary)
    );
    for (at, label) in &y.ticks {
        let at = y.place(*at);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            left - 8.0,
            at + 4.0
        );
    }
    for (at, label) in &x.ticks {
        let at = x.place(*at);
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom}\" y2=\"{}\"/>\
             <text class=\"tick\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            bottom + 4.0,
            bottom + 18.0
        );
    }
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
         <text class=\"tick label\" x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        bottom + 36.0,
        escape(x_label)
    );
    svg
}

/// One axis: what it covers, where on the drawing, and its labels.
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis over a range, with about `count` labels at round numbers.
    pub(super) fn new([low, high]: [f64; 2], [from, to]: [f64; 2], count: usize) -> Self {
        let step = round_step((high - low) / count as f64);
        let first = (low / step).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|i| i as f64 * step).map(|at| (at, number(at))).collect();
        Self { low, high, from, to, ticks }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        // Far outside is as good as infinitely far, and is a number.
        (self.from + share * (self.to - self.from)).clamp(-1e4, 1e4)
    }
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= least * 0.999).unwrap_or(10.0 * power)
}

/// Both axes, and how many readings the value axis leaves out: a few that are far from all others, which would press
/// the rest into a line.
fn ranges(lines: &[&Line]) -> Option<(Axis, Axis, usize)> {
    let finite = || lines.iter().flat_map(|l| &l.points).filter(|p| p.0.is_finite() && p.1.is_finite());
    let mut values: Vec<f64> = finite().map(|p| p.1).collect();
    values.sort_by(f64::total_cmp);
    let (first, last) = (*values.first()?, *values.last()?);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    let room = (at(0.99) - at(0.01)).max(1e-12);
    let (mut low, mut high) = (first, last);
    if low < at(0.01) - 3.0 * room {
        low = at(0.01) - 0.3 * room;
    }
    if high > at(0.99) + 3.0 * room {
        high = at(0.99) + 0.3 * room;
    }
    let outside = values.iter().filter(|v| **v < low || **v > high).count();
    let spread = high - low;
    let margin = if spread > high.abs().max(1e-9) * 1e-9 { spread * 0.04 } else { (high.abs() * 0.1).max(0.5) };
    // An axis that begins at 0 keeps it as its end.
    let floor = if low == 0.0 && spread > 0.0 { 0.0 } else { low - margin };
    let steps = finite().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.0), h.max(p.0)));
    let steps = if steps.0 < steps.1 { [steps.0.min(0.0), steps.1] } else { [steps.0 - 1.0, steps.1 + 1.0] };
    let (left, top, right, bottom) = PLOT;
    Some((Axis::new(steps, [left, right], 6), Axis::new([floor, high + margin], [bottom, top], 5), outside))
}

fn path(points: &[(f64, f64)]) -> String {
    let mut text = String::with_capacity(points.len() * 12);
    for (i, (x, y)) in points.iter().enumerate() {
        let _ = write!(text, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
    }
    text
}

/// What the script needs to show values under the pointer, as JSON inside HTML.
fn pointed(lines: &[&Line], x: &Axis, y: &Axis) -> String {
    let of = |line: &&Line| {
        let finite: Vec<_> = line.points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
        let every = finite.len().div_ceil(POINTED).max(1);
        let points: Vec<[f64; 2]> = finite.iter().step_by(every).map(|p| [p.0, short(p.1)]).collect();
        json!({ "name": line.name, "colour": line.colour, "points": points })
    };
    let data = json!({
        "x": [x.low, x.high, x.from, x.to], "y": [y.low, y.high, y.from, y.to],
        "lines": lines.iter().map(of).collect::<Vec<_>>(),
    });
    data.to_string().replace('<', "\\u003c")
}

fn short(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> String {
        let line = Line { name: "<loss>".into(), colour: 1, points };
        Chart { id: "x", title: "Losses", note: "", x_label: "step", lines: vec![line], trend: true }.html()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis::new([-0.3, 7.9], [0.0, 1.0], 5);
        assert_eq!(axis.ticks.iter().map(|t| t.1.as_str()).collect::<Vec<_>>(), ["0", "2", "4", "6"]);
        assert_eq!(round_step(0.013), 0.02);
        assert_eq!(round_step(30.0), 50.0);
    }

    #[test]
    fn a_gap_splits_the_line_and_an_outlier_does_not_flatten_it() {
        let mut points: Vec<_> = (0..200).map(|i| (f64::from(i), f64::from(i % 5))).collect();
        points[100].1 = f64::NAN;
        points[150].1 = 1e9;
        let html = chart(points);
        assert_eq!(html.matches("class=\"line c1\"").count(), 2);
        assert!(html.contains("1 outlying readings lie beyond the axis"), "{html}");
        assert!(!html.contains("<loss>") && html.contains("&lt;loss&gt;"));
    }

    #[test]
    fn nothing_to_draw_is_no_chart_and_one_point_is_one() {
        assert_eq!(chart(vec![(1.0, f64::NAN)]), "");
        assert!(chart(vec![(1.0, 3.0)]).contains("<circle"));
        assert!(chart(vec![(1.0, 3.0), (2.0, 3.0)]).contains("<path"));
    }
}
