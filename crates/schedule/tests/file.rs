//! The file: round trip, what a viewer needs of it, and damage. Every mutation is drawn from a seed that its message shows.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use std::collections::HashMap;

use made::{Draw, block, conflicting, drawn};
use serde_json::{Value, json};
use solder_schedule::trace::{parse_trace, write_events};
use solder_schedule::{Alone, BlockSchedule, Cost, read_trace, write_trace};

fn written(blocks: &[BlockSchedule]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_events(&mut bytes, blocks).unwrap();
    bytes
}

fn several() -> Vec<BlockSchedule> {
    let mut blocks = vec![conflicting(), block(7, drawn(7, 30, 5)), block(8, Default::default())];
    blocks[1].label.beneficiary = None;
    blocks[1].label.serial_seconds = None;
    blocks[0].around = 900;
    blocks[0].schedule.reading = 10_500;
    let costs = vec![Cost { execution: 1500, commit: 60 }; blocks[0].schedule.transactions.len()];
    let (head, tail, around) = (400, 1100, 800);
    blocks[0].alone = Some(Alone { head, tail, around, before_execution: 20, before_commit: 10, costs });
    blocks
}

#[test]
fn a_file_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schedule.json");
    std::fs::write(&path, "older").unwrap();
    let mut blocks = several();
    blocks[2].schedule.workers = 1;
    write_trace(&path, &blocks).unwrap();
    assert_eq!(read_trace(&path).unwrap(), blocks);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_is_absent_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent").join("schedule.json");
    let error = write_trace(&path, &several()).unwrap_err();
    assert_eq!(error.path, path.to_string_lossy());
    assert!(read_trace(&path).unwrap_err().to_string().starts_with(&error.path));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// What the format demands of each kind of event, and what a viewer drops silently.
#[test]
fn events_are_what_a_viewer_reads() {
    let file: Value = serde_json::from_slice(&written(&several())).unwrap();
    let events = file["traceEvents"].as_array().unwrap();
    let (mut slices, mut flows) = (Vec::new(), HashMap::<u64, Vec<&Value>>::new());
    for event in events {
        assert!(event["pid"].is_u64() && event["name"].is_string(), "{event}");
        match event["ph"].as_str().unwrap() {
            "M" => assert!(event["args"].is_object()),
            "X" => {
                assert!(event["ts"].is_number() && event["dur"].is_number() && event["tid"].is_u64());
                slices.push(event);
            }
            "C" => assert!(event["args"]["count"].as_i64().unwrap() >= 0, "{event}"),
            "s" | "f" => flows.entry(event["id"].as_u64().unwrap()).or_default().push(event),
            other => panic!("{other}"),
        }
    }
    assert!(!flows.is_empty());
    for ends in flows.values() {
        let [from, to] = ends[..] else { panic!("{ends:?}") };
        assert_eq!((&from["ph"], &to["ph"]), (&json!("s"), &json!("f")));
        assert!(from["ts"].as_f64() <= to["ts"].as_f64());
        for end in [from, to] {
            let at = end["ts"].as_f64().unwrap();
            let holds = |slice: &&&Value| {
                let start = slice["ts"].as_f64().unwrap();
                let stop = start + slice["dur"].as_f64().unwrap();
                slice["cat"] == "execute" && slice["tid"] == end["tid"] && (start..=stop).contains(&at)
            };
            assert!(slices.iter().any(|slice| holds(&slice)), "{end}");
        }
    }
    let stale = slices.iter().find(|slice| slice["args"]["ending"] == "aborted").unwrap();
    assert_eq!(stale["args"]["written_by"], "tx 0");
    assert_eq!(stale["args"]["conflict"], "0x1111111111111111111111111111111111111111 slot 0x0");
    let again = slices.iter().find(|slice| slice["name"] == "tx 1 again").unwrap();
    assert_eq!(again["args"]["waits_for"], "tx 0");
    let process = events.iter().find(|event| event["name"] == "process_name").unwrap();
    assert_eq!(process["args"]["name"], "block 17034870, 3 transactions");
    let committed =
        events.iter().filter(|event| event["name"] == "committed transactions" && event["pid"] == 1);
    assert_eq!(
        committed.map(|event| event["args"]["count"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[test]
fn blocks_follow_each_other_in_time() {
    let file: Value = serde_json::from_slice(&written(&several())).unwrap();
    let slices = file["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X");
    let (mut first_end, mut second_start) = (0f64, f64::INFINITY);
    for slice in slices {
        let start = slice["ts"].as_f64().unwrap();
        match slice["pid"].as_u64().unwrap() {
            1 => first_end = first_end.max(start + slice["dur"].as_f64().unwrap()),
            _ => second_start = second_start.min(start),
        }
    }
    assert!(second_start > first_end);
}

/// An error of the document, from changing its value at a JSON pointer.
fn refused(pointer: &str, value: Value) -> (Option<String>, String) {
    let mut file: Value = serde_json::from_slice(&written(&several()[..1])).unwrap();
    *file.pointer_mut(pointer).unwrap() = value;
    let error = parse_trace("f.json", file.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.path, "f.json");
    (error.field, error.detail)
}

#[test]
fn errors_name_the_field() {
    let field = |pointer, value| refused(pointer, value).0.unwrap();
    assert_eq!(field("/solder/version", json!(3)), "solder.version");
    assert_eq!(field("/solder/blocks", json!({})), "solder.blocks");
    assert_eq!(field("/solder/blocks/0/workers", json!(0)), "solder.blocks[0].workers");
    assert_eq!(field("/solder/blocks/0/workers", json!(1_000_000)), "solder.blocks[0].workers");
    assert_eq!(field("/solder/blocks/0/wall", json!(u64::MAX)), "solder.blocks[0].wall");
    assert_eq!(field("/solder/blocks/0/reading", json!(u64::MAX)), "solder.blocks[0].reading");
    assert_eq!(field("/solder/blocks/0/transactions", json!(4)), "solder.blocks[0].records");
    assert_eq!(field("/solder/blocks/0/serial_seconds", json!(-1.0)), "solder.blocks[0].serial_seconds");
    assert_eq!(field("/solder/blocks/0/beneficiary", json!("0x12")), "solder.blocks[0].beneficiary");
    assert_eq!(field("/solder/blocks/0/locations/1/0", json!("colour")), "solder.blocks[0].locations[1]");
    assert_eq!(field("/solder/blocks/0/spans/2/0", json!(2)), "solder.blocks[0].spans[2]");
    assert_eq!(field("/solder/blocks/0/spans/2/1", json!("sleep")), "solder.blocks[0].spans[2]");
    assert_eq!(field("/solder/blocks/0/spans/2/2", json!(3)), "solder.blocks[0].spans[2]");
    assert_eq!(field("/solder/blocks/0/spans/2/5", json!(0)), "solder.blocks[0].spans[2]");
    assert_eq!(field("/solder/blocks/0/spans/8/7", json!(3)), "solder.blocks[0].spans[8]");
    assert_eq!(field("/solder/blocks/0/records/1/2", json!(2)), "solder.blocks[0].records[1]");
    assert_eq!(field("/solder/blocks/0/records/1/7/0", json!(3)), "solder.blocks[0].records[1]");
    assert_eq!(field("/solder/blocks/0/records/1/6", json!([0])), "solder.blocks[0].records[1]");
}

#[test]
fn a_block_that_was_not_recorded_alone_has_no_such_part() {
    let mut file: Value = serde_json::from_slice(&written(&several()[..1])).unwrap();
    let block = file.pointer_mut("/solder/blocks/0").unwrap().as_object_mut().unwrap();
    assert!(block.remove("alone").is_some());
    let read = parse_trace("f.json", file.to_string().as_bytes()).unwrap();
    assert_eq!(read, [BlockSchedule { alone: None, ..several()[0].clone() }]);
}

#[test]
fn what_a_block_cost_alone_is_checked_like_the_rest() {
    let wrong = |name: &str, value| {
        let (field, detail) = refused(&format!("/solder/blocks/0/alone{name}"), value);
        (field.unwrap().replace("solder.blocks[0].", ""), detail)
    };
    let told = |name, value| wrong(name, value).0;
    assert_eq!(told("", json!([])), "alone.costs");
    assert_eq!(told("/head", json!(-1)), "alone.head");
    assert_eq!(told("/tail", json!(u64::MAX)), "alone.tail");
    assert_eq!(told("/around", json!(0.5)), "alone.around");
    assert_eq!(told("/before_execution", json!(null)), "alone.before_execution");
    assert_eq!(told("/before_commit", json!("1")), "alone.before_commit");
    assert_eq!(told("/costs/5", json!(u64::MAX)), "alone.costs");
    assert_eq!(
        wrong("/costs", json!([1, 2, 3, 4, 5])),
        ("alone.costs".into(), "5 numbers for 3 transactions".into())
    );
    assert_eq!(refused("/solder/blocks/0/around", json!(-1)).0.unwrap(), "solder.blocks[0].around");
}

#[test]
fn only_a_lower_transaction_can_have_been_read_from() {
    let (field, detail) = refused("/solder/blocks/0/records/1/6/1", json!(1));
    assert_eq!(field.as_deref(), Some("solder.blocks[0].records[1]"));
    assert_eq!(detail, "1 is not below 1");
}

#[test]
fn what_is_not_ours_is_told_apart() {
    let error = |bytes: &[u8]| parse_trace("f.json", bytes).unwrap_err().to_string();
    assert!(error(b"{\"traceEvents\":[]}").contains("not a saved schedule of solder"));
    assert!(error(b"[1,2]").contains("not a saved schedule"));
    assert!(error(b"").contains("not a saved schedule"));
    assert!(error(&[0xff, 0xd8]).contains("not a saved schedule"));
    assert!(error(b"{\"solder\":{}}").contains("solder.version: missing"));
}

fn leaves(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| leaves(item, format!("{at}/{index}"), found));
        }
        Value::Object(items) => {
            items.iter().for_each(|(key, item)| leaves(item, format!("{at}/{key}"), found))
        }
        _ => {}
    }
    found.push(at);
}

/// 200 files with one value changed, 200 with bytes changed: each is an error with a message, or a schedule that every
/// analysis can use.
#[test]
fn damage_is_an_error_or_a_schedule() {
    let bytes = written(&several());
    let whole: Value = serde_json::from_slice(&bytes).unwrap();
    let mut pointers = Vec::new();
    leaves(&whole["solder"], "/solder".into(), &mut pointers);
    let odd = [
        json!(null),
        json!(-1),
        json!(0),
        json!(1e300),
        json!(u64::MAX),
        json!("0x"),
        json!([]),
        json!({}),
        json!(true),
        json!("kept"),
        json!(3),
    ];
    let mut refused = 0;
    for seed in 1..=400u64 {
        let mut draw = Draw(seed * 7919);
        let damaged = if seed % 2 == 0 {
            let mut file = whole.clone();
            let pointer = &pointers[draw.below(pointers.len())];
            *file.pointer_mut(pointer).unwrap() = odd[draw.below(odd.len())].clone();
            file.to_string().into_bytes()
        } else {
            let mut damaged = bytes.clone();
            let place = draw.below(damaged.len());
            match draw.below(3) {
                0 => damaged.truncate(place),
                1 => damaged[place] ^= 1 << draw.below(8),
                _ => damaged.insert(place, draw.below(256) as u8),
            }
            damaged
        };
        match parse_trace("f.json", &damaged) {
            Err(error) => {
                refused += 1;
                assert!(!error.detail.is_empty(), "seed {seed}");
            }
            Ok(blocks) => {
                let summary = solder_schedule::Summary::new(&blocks, Default::default());
                assert!(
                    serde_json::from_str::<Value>(&summary.to_json()).unwrap().is_object(),
                    "seed {seed}"
                );
                for block in &blocks {
                    assert!(solder_schedule::picture::svg(block).ends_with("</svg>\n"), "seed {seed}");
                }
            }
        }
    }
    assert!(refused > 150, "{refused}");
}
