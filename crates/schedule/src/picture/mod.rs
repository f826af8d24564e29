//! One block's schedule as a picture: a row per worker, a box per execution coloured by how it ended, commits on a thin
//! line below, arrows for conflicts, the critical path outlined. A self-contained SVG without scripts that follows the
//! viewer's light or dark scheme.

mod boxes;
mod style;

use std::cmp::Ordering;
use std::fmt::Write;

use crate::BlockSchedule;
use crate::analysis::{busy, critical_path};
use crate::conflicts::{conflicts, thrown_away};
use crate::summary::serial_seconds;
use boxes::{Kind, boxes};
use solder_engine::parallel::record::Activity;

/// Measures in the picture's own units.
const WIDTH: f64 = 1200.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 108.0;
const ROW: f64 = 46.0;
const BOX: f64 = 28.0;
const COMMIT_TOP: f64 = 31.0;
const COMMIT: f64 = 6.0;
const AXIS: f64 = 44.0;
/// A box at least this wide is labelled with its transaction.
const LABELLED: f64 = 17.0;
/// A box at least this wide says what it is when it is pointed at.
const TITLED: f64 = 1.0;
/// More arrows than this hide what they show.
const MAX_ARROWS: usize = 400;
/// About so many marks on the time axis.
const MARKS: f64 = 9.0;

/// From nanoseconds to the picture.
struct Scale {
    wall: f64,
}

impl Scale {
    fn x(&self, nanoseconds: u64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * nanoseconds as f64 / self.wall
    }
}

fn row_top(worker: u32) -> f64 {
    TOP + f64::from(worker) * ROW
}

/// Draws a block.
pub fn svg(block: &BlockSchedule) -> String {
    let schedule = &block.schedule;
    let ends = schedule.spans.iter().map(|span| span.end);
    let scale = Scale { wall: ends.max().unwrap_or(0).max(schedule.wall).max(1) as f64 };
    let bottom = TOP + f64::from(schedule.workers) * ROW;
    let height = bottom + AXIS;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\">"
    );
    out.push_str(style::STYLE);
    let _ = write!(out, "<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\" rx=\"10\"/>");
    header(&mut out, block);
    legend(&mut out, block);
    axis(&mut out, &scale, bottom);
    rows(&mut out, block, &scale);
    arrows(&mut out, block, &scale);
    out.push_str("</svg>\n");
    out
}

fn milliseconds(seconds: f64) -> String {
    let milliseconds = seconds * 1e3;
    if milliseconds < 1.0 {
        format!("{:.0} µs", milliseconds * 1e3)
    } else {
        format!("{milliseconds:.2} ms")
    }
}

/// With a comma before every third digit from the right.
pub fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn header(out: &mut String, block: &BlockSchedule) {
    let BlockSchedule { label, schedule, .. } = block;
    let plural = if schedule.workers == 1 { "" } else { "s" };
    let mut title = format!("Block {} on {} worker{plural}", label.number, schedule.workers);
    if let (Some(serial), Some(parallel)) = (label.serial_seconds, label.parallel_seconds)
        && parallel > 0.0
    {
        let _ = write!(title, ": {:.2}x serial", serial / parallel);
    }
    let _ = write!(out, "<title>{title}</title><text class=\"title\" x=\"24\" y=\"36\">{title}</text>");
    let executions = schedule.spans.iter().filter(|span| span.activity == Activity::Execute).count();
    let aborted = thrown_away(&schedule.spans).into_iter().filter(|thrown| *thrown).count();
    let mut facts = vec![
        format!("{} transactions", grouped(label.transactions)),
        format!("{} gas", grouped(label.gas_used)),
        format!("serial {}", milliseconds(serial_seconds(block))),
    ];
    facts.extend(label.parallel_seconds.map(|seconds| format!("parallel {}", milliseconds(seconds))));
    facts.push(format!("{aborted} of {executions} executions thrown away"));
    let offered = f64::from(schedule.workers) * schedule.wall as f64;
    if offered > 0.0 {
        facts.push(format!("workers busy {:.0} %", 100.0 * busy(schedule) as f64 / offered));
    }
    let _ = write!(out, "<text class=\"facts\" x=\"24\" y=\"58\">{}</text>", facts.join(" · "));
}

fn legend(out: &mut String, block: &BlockSchedule) {
    let used = boxes(block, &Scale { wall: block.schedule.wall.max(1) as f64 });
    let mut x = 24.0;
    for kind in Kind::ALL {
        if !used.iter().any(|shape| shape.kind == kind) {
            continue;
        }
        let _ = write!(
            out,
            "<rect class=\"{}\" x=\"{x:.0}\" y=\"76\" width=\"16\" height=\"12\" rx=\"2\"/>\
             <text class=\"small\" x=\"{:.0}\" y=\"86\">{}</text>",
            kind.class(),
            x + 22.0,
            kind.words()
        );
        // Letters are about 6 wide.
        x += 40.0 + 6.2 * kind.words().len() as f64;
    }
    let _ = write!(
        out,
        "<rect class=\"critical\" x=\"{x:.0}\" y=\"76\" width=\"16\" height=\"12\" rx=\"2\"/>\
         <text class=\"small\" x=\"{:.0}\" y=\"86\">critical path</text>",
        x + 22.0
    );
    if !conflicts(&block.schedule.spans).is_empty() {
        x += 124.0;
        let _ = write!(
            out,
            "<line class=\"arrow\" marker-end=\"url(#head)\" x1=\"{x:.0}\" y1=\"82\" x2=\"{:.0}\" y2=\"82\"/>\
             <text class=\"small\" x=\"{:.0}\" y=\"86\">conflict</text>",
            x + 18.0,
            x + 25.0
        );
    }
}

fn axis(out: &mut String, scale: &Scale, bottom: f64) {
    let rough = scale.wall / MARKS;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power).max(1.0);
    let (unit, divisor) = if scale.wall >= 2e6 { ("ms", 1e6) } else { ("µs", 1e3) };
    let marks = (scale.wall / step) as u64;
    for mark in 0..=marks {
        let time = mark as f64 * step;
        let x = scale.x(time as u64);
        let value = (time / divisor * 1e3).round() / 1e3;
        let unit = if mark == 0 { "" } else { unit };
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{:.0}\" x2=\"{x:.1}\" y2=\"{:.0}\"/>\
             <text class=\"small mark\" x=\"{x:.1}\" y=\"{:.0}\">{value} {unit}</text>",
            TOP - 6.0,
            bottom + 2.0,
            bottom + 20.0
        );
    }
}

fn rows(out: &mut String, block: &BlockSchedule, scale: &Scale) {
    for worker in 0..block.schedule.workers {
        let y = row_top(worker);
        let _ = write!(
            out,
            "<text class=\"worker\" x=\"{:.0}\" y=\"{:.0}\">worker {worker}</text>\
             <rect class=\"lane\" x=\"{LEFT}\" y=\"{y:.0}\" width=\"{:.0}\" height=\"{BOX}\"/>",
            LEFT - 12.0,
            y + 19.0,
            WIDTH - LEFT - RIGHT
        );
    }
    let chain = critical_path(&block.schedule).chain;
    for shape in boxes(block, scale) {
        let thin = shape.kind.is_thin();
        let y = row_top(shape.worker) + if thin { COMMIT_TOP } else { 0.0 };
        let height = if thin { COMMIT } else { BOX };
        let width = shape.right - shape.left;
        let on_path =
            shape.kind.is_kept() && shape.transaction.is_some_and(|tx| chain.binary_search(&tx).is_ok());
        let outline = if on_path { " outlined" } else { "" };
        let shade = if shape.transaction.is_some_and(|tx| tx % 2 == 1) { " odd" } else { "" };
        let _ = write!(
            out,
            "<rect class=\"{}{shade}{outline}\" x=\"{:.2}\" y=\"{y:.0}\" width=\"{width:.2}\" height=\"{height}\" rx=\"{}\"",
            shape.kind.class(),
            shape.left,
            if width > 6.0 && !thin { 2 } else { 0 }
        );
        match shape.words.filter(|_| width >= TITLED) {
            Some(words) => {
                let _ = write!(out, "><title>{words}</title></rect>");
            }
            None => out.push_str("/>"),
        }
        if let Some(tx) = shape.transaction.filter(|_| !thin && width >= LABELLED) {
            let _ = write!(
                out,
                "<text class=\"label\" x=\"{:.1}\" y=\"{:.0}\">{tx}</text>",
                (shape.left + shape.right) / 2.0,
                y + 18.0
            );
        }
    }
}

fn arrows(out: &mut String, block: &BlockSchedule, scale: &Scale) {
    for conflict in conflicts(&block.schedule.spans).into_iter().take(MAX_ARROWS) {
        let (x1, x2) = (scale.x(conflict.from_time), scale.x(conflict.to_time));
        let (top, down) = (row_top(conflict.from.worker), row_top(conflict.to.worker));
        // From the near edge of one box to the near edge of the other; on one row the arrow bows above the boxes.
        let (y1, y2, bend) = match conflict.from.worker.cmp(&conflict.to.worker) {
            Ordering::Less => (top + BOX, down, (down - top - BOX) / 2.0),
            Ordering::Greater => (top, down + BOX, (down + BOX - top) / 2.0),
            Ordering::Equal => (top, top, COMMIT_TOP - ROW),
        };
        let _ = write!(
            out,
            "<path class=\"arrow\" marker-end=\"url(#head)\" d=\"M{x1:.1},{y1:.1} C{x1:.1},{:.1} {x2:.1},{:.1} {x2:.1},{y2:.1}\"/>",
            y1 + bend,
            if conflict.from.worker == conflict.to.worker { y2 + bend } else { y2 - bend },
        );
    }
}
