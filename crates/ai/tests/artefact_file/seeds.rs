//! Small whole artefacts that between them use most operators.

use std::collections::BTreeMap;

use super::{Stored, artefact};

fn node(name: &str, operator: &str, inputs: &[&str], outputs: &[&str], attributes: &str) -> String {
    let list = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
    format!(
        "{{\"attributes\":{{{attributes}}},\"inputs\":[{}],\"name\":\"{name}\",\"operator\":\"{operator}\",\"outputs\":[{}]}}",
        list(inputs),
        list(outputs)
    )
}

fn input(name: &str, bits: u32, range: (i64, i64), shape: &str) -> String {
    format!(
        "{{\"bits\":{bits},\"coding\":{{\"kind\":\"index\"}},\"maximum\":{},\"minimum\":{},\"name\":\"{name}\",\"shape\":[{shape}]}}",
        range.1, range.0
    )
}

fn graph(sequence_limit: usize, inputs: &[String], nodes: &[String], outputs: &[&str]) -> String {
    let outputs: Vec<String> = outputs
        .iter()
        .map(|name| format!("{{\"coding\":{{\"kind\":\"index\"}},\"name\":\"{name}\"}}"))
        .collect();
    format!(
        "{{\"batch_limit\":64,\"format\":1,\"inputs\":[{}],\"labels\":[\"a\",\"b\"],\"nodes\":[{}],\"outputs\":[{}],\"sequence_limit\":{sequence_limit},\"title\":\"seed\",\"tokeniser_sha256\":\"\"}}",
        inputs.join(","),
        nodes.join(","),
        outputs.join(",")
    )
}

fn pattern(count: usize, step: usize) -> Vec<i8> {
    (0..count).map(|at| ((at * step + 7) % 255) as u8 as i8).collect()
}

/// Weight and bias of `perceptron`'s first layer: 5 x 6.
pub fn first_layer() -> (Vec<i8>, Vec<i32>) {
    (pattern(30, 37), vec![100, -200, 300, 0, -5])
}

/// `linear`, `rescale` with a clamp at 0, `linear`, `argmax`.
pub fn perceptron() -> Vec<u8> {
    let (weight, bias) = first_layer();
    let tensors = BTreeMap::from([
        ("w1".to_owned(), Stored::int8(&[5, 6], &weight)),
        ("b1".to_owned(), Stored::int32(&[5], &bias)),
        ("m1".to_owned(), Stored::int32(&[1], &[1 << 22])),
        ("w2".to_owned(), Stored::int8(&[3, 5], &pattern(15, 91))),
    ]);
    let rescale = "\"bits\":8,\"maximum\":127,\"minimum\":0,\"shift\":31,\"zero_point\":0";
    let nodes = [
        node("n1", "linear", &["x", "w1", "b1"], &["s1"], ""),
        node("n2", "rescale", &["s1", "m1"], &["h"], rescale),
        node("n3", "linear", &["h", "w2"], &["logits"], ""),
        node("n4", "argmax", &["logits"], &["class"], ""),
    ];
    let text = graph(1, &[input("x", 8, (-128, 127), "\"batch\",6")], &nodes, &["logits", "class"]);
    artefact(&text, &tensors)
}

/// `embedding`, `requantise_rows`, `linear`, `rescale_rows`, `attention`, `layer_norm`, `mean_pool`, `l2_normalise`.
pub fn encoder() -> Vec<u8> {
    let tensors = BTreeMap::from([
        ("words".to_owned(), Stored::int8(&[9, 8], &pattern(72, 53))),
        ("w".to_owned(), Stored::int8(&[8, 8], &pattern(64, 77))),
        ("m".to_owned(), Stored::int32(&[8], &[900, 1000, 1100, 800, 900, 1000, 700, 600])),
        ("exp".to_owned(), Stored::int8(&[5], &[127, 60, 30, 15, 0])),
        ("gain".to_owned(), Stored::int32(&[8], &[100, -90, 80, 70, 60, 50, 40, 30])),
        ("shift".to_owned(), Stored::int32(&[8], &[1, -2, 3, -4, 5, -6, 7, -8])),
    ]);
    let int8 = "\"maximum\":127,\"minimum\":-127,\"shift\":20";
    let attention =
        "\"bits\":16,\"causal\":1,\"fraction_bits\":6,\"heads\":2,\"multiplier\":1000,\"shift\":12";
    let norm = "\"bias_shift\":4,\"bits\":16,\"epsilon\":64,\"fraction_bits\":8,\"maximum\":4000,\"minimum\":-4000,\"shift\":6";
    let nodes = [
        node("e", "embedding", &["ids", "words"], &["v"], ""),
        node("q", "requantise_rows", &["v"], &["r", "scale"], "\"scale_shift\":0"),
        node("l", "linear", &["r", "w"], &["sums"], ""),
        node(
            "s",
            "rescale_rows",
            &["sums", "scale", "m"],
            &["k"],
            &format!("\"bias_shift\":0,\"bits\":8,{int8}"),
        ),
        node("a", "attention", &["k", "k", "k", "exp", "mask"], &["mixed"], attention),
        node("n", "layer_norm", &["mixed", "gain", "shift"], &["normal"], norm),
        node("p", "mean_pool", &["normal", "mask"], &["mean"], "\"bits\":32,\"fraction_bits\":4"),
        node("u", "l2_normalise", &["mean"], &["unit"], "\"bits\":16,\"fraction_bits\":14"),
    ];
    let inputs = [
        input("ids", 32, (0, 8), "\"batch\",\"sequence\""),
        input("mask", 8, (0, 1), "\"batch\",\"sequence\""),
    ];
    artefact(&graph(16, &inputs, &nodes, &["unit"]), &tensors)
}

/// `convolution`, `rescale`, `max_pool`, `reshape`, `linear`, `softmax`.
pub fn pictures() -> Vec<u8> {
    let tensors = BTreeMap::from([
        ("taps".to_owned(), Stored::int8(&[4, 3, 3, 1], &pattern(36, 41))),
        ("m".to_owned(), Stored::int32(&[4], &[1 << 20, 1 << 21, 1 << 19, 3 << 19])),
        ("w".to_owned(), Stored::int8(&[3, 36], &pattern(108, 29))),
        ("exp".to_owned(), Stored::int32(&[6], &[4096, 1500, 550, 200, 70, 0])),
    ]);
    let convolution =
        "\"dilation\":[1,1],\"groups\":1,\"padding\":[1,1,1,1],\"padding_value\":-3,\"stride\":[1,1]";
    let rescale = "\"bits\":8,\"maximum\":127,\"minimum\":0,\"shift\":31,\"zero_point\":2";
    let pool = "\"padding\":[0,0,0,0],\"stride\":[2,2],\"window\":[2,2]";
    let nodes = [
        node("c", "convolution", &["x", "taps"], &["s"], convolution),
        node("r", "rescale", &["s", "m"], &["h"], rescale),
        node("p", "max_pool", &["h"], &["pooled"], pool),
        node("f", "reshape", &["pooled"], &["flat"], "\"shape\":[\"batch\",36]"),
        node("l", "linear", &["flat", "w"], &["logits"], ""),
        node(
            "e",
            "softmax",
            &["logits", "exp"],
            &["chance"],
            "\"bits\":16,\"multiplier\":3,\"one\":32767,\"shift\":10",
        ),
    ];
    artefact(&graph(1, &[input("x", 8, (-16, 16), "\"batch\",6,6,1")], &nodes, &["chance"]), &tensors)
}

/// `tree_ensemble` with missing features, `top_k`.
pub fn trees() -> Vec<u8> {
    let tensors = BTreeMap::from([
        ("feature".to_owned(), Stored::int32(&[3], &[0, 1, 1])),
        ("threshold".to_owned(), Stored::int32(&[3], &[10, -5, 1_000_000])),
        ("left".to_owned(), Stored::int32(&[3], &[1, -1, -2])),
        ("right".to_owned(), Stored::int32(&[3], &[-3, -2, -4])),
        ("roots".to_owned(), Stored::int32(&[3], &[0, 2, -1])),
        ("leaves".to_owned(), Stored::int32(&[4, 2], &[1, -1, 20, 30, -500, 7, 8, 9])),
        ("base".to_owned(), Stored::int32(&[2], &[1000, -1000])),
        ("missing".to_owned(), Stored::int8(&[3], &[1, 0, 0])),
    ]);
    let operands = ["x", "feature", "threshold", "left", "right", "roots", "leaves", "base", "missing"];
    let nodes = [
        node("t", "tree_ensemble", &operands, &["votes"], ""),
        node("k", "top_k", &["votes"], &["most", "which"], "\"k\":2"),
    ];
    let inputs = [input("x", 32, (i64::from(i32::MIN), i64::from(i32::MAX)), "\"batch\",2")];
    artefact(&graph(1, &inputs, &nodes, &["votes", "most", "which"]), &tensors)
}

/// All of them.
pub fn all() -> [Vec<u8>; 4] {
    [perceptron(), encoder(), pictures(), trees()]
}
