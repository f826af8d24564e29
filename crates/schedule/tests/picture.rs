//! The picture: well-formed, self-contained, bounded in size, with a box for what happened.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use made::{block, conflicting, drawn, independent};
use solder_schedule::picture::svg;

fn classes(text: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(text).unwrap();
    let shapes = document.descendants().filter(|node| node.has_tag_name("rect"));
    shapes.filter_map(|node| node.attribute("class")).map(str::to_owned).collect()
}

#[test]
fn a_box_for_each_execution_by_its_ending() {
    let text = svg(&conflicting());
    let found = classes(&text);
    let count = |class: &str| found.iter().filter(|name| name.split(' ').any(|word| word == class)).count();
    // One of each is the legend's.
    assert_eq!((count("kept"), count("repeated"), count("aborted")), (2 + 1, 1 + 1, 1 + 1));
    // Two boxes on the critical path; two lanes.
    assert_eq!((count("outlined"), count("lane")), (2, 2));
    assert!(text.contains("Block 17034870 on 2 workers: 0.93x serial"));
    assert!(text.contains("1 of 4 executions thrown away"));
    // One more is the legend's.
    assert_eq!(text.matches("class=\"arrow\"").count(), 1 + 1);
}

#[test]
fn it_needs_nothing_else_and_runs_nothing() {
    for text in [svg(&conflicting()), svg(&block(1, Default::default())), svg(&block(2, drawn(3, 200, 9)))] {
        let document = roxmltree::Document::parse(&text).unwrap();
        assert_eq!(document.root_element().tag_name().name(), "svg");
        for node in document.descendants() {
            assert!(!["script", "image", "use", "foreignObject"].contains(&node.tag_name().name()));
            for attribute in node.attributes() {
                assert!(!attribute.name().starts_with("on") && attribute.name() != "href", "{attribute:?}");
            }
        }
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }
}

#[test]
fn the_largest_block_stays_a_small_picture() {
    let text = svg(&block(1, independent(100_000)));
    assert!(text.len() < 1_000_000, "{}", text.len());
}
