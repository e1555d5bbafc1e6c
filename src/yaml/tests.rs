use std::time::{Duration, Instant};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::json;

use super::*;

fn read(text: &str) -> Checked<Vec<Tree>> {
    parse("a.yaml", text.as_bytes(), &Limits::default())
}

fn only(text: &str) -> Tree {
    let mut read = read(text);
    assert_eq!(read.problems, [], "{text}");
    assert_eq!(read.value.len(), 1, "{text}");
    read.value.remove(0)
}

/// The one problem, as `line:column code`.
fn place_of_problem(text: &str) -> String {
    let problems = read(text).problems;
    assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
    let Problem { origin, code, .. } = &problems[0];
    format!("{}:{} {code}", origin.line, origin.column)
}

#[test]
fn values_and_keys_know_their_places() {
    let tree =
        only("# first\nspec:\n  rules:\n  - host: a.example\n    paths: [/x, \"/y\"]\n  empty:\n");
    let place = |origin: Origin| (origin.line, origin.column);
    let path = |segments: &[Segment]| segments.to_vec();
    assert_eq!(
        tree.value,
        json!({"spec": {"rules": [{"host": "a.example", "paths": ["/x", "/y"]}], "empty": null}})
    );
    let host = path(&["spec".into(), "rules".into(), 0.into(), "host".into()]);
    assert_eq!(place(tree.origin(&host)), (4, 11));
    assert_eq!(place(tree.key_origin(&host)), (4, 5));
    let second = path(&[
        "spec".into(),
        "rules".into(),
        0.into(),
        "paths".into(),
        1.into(),
    ]);
    assert_eq!(place(tree.origin(&second)), (5, 17));
    let missing = path(&[
        "spec".into(),
        "rules".into(),
        0.into(),
        "nope".into(),
        "x".into(),
    ]);
    assert_eq!(place(tree.origin(&missing)), (4, 5));
    assert_eq!(place(tree.key_origin(&missing)), (4, 5));
    assert_eq!(place(tree.origin(&[])), (2, 1));
    let rules = tree.root().get("spec").unwrap().get("rules").unwrap();
    let first = rules.items().next().unwrap();
    assert_eq!(place(first.get("host").unwrap().origin()), (4, 11));
    assert_eq!(first.entries().count(), 2);
}

#[test]
fn columns_count_characters() {
    let tree = only("äöü: x\n");
    assert_eq!(tree.origin(&["äöü".into()]).column, 6);
}

#[test]
fn empty_documents_are_skipped() {
    let read = read("---\n---\n# nothing\n---\na: 1\n---\n");
    assert_eq!(read.problems, []);
    assert_eq!(read.value.len(), 1);
    assert_eq!(read.value[0].origin(&["a".into()]).line, 5);
    for text in ["", "# only a comment\n", "---\n", "\n\n", "--- # x\n...\n"] {
        let read = self::read(text);
        assert_eq!(read.problems, [], "{text:?}");
        assert!(read.value.is_empty(), "{text:?}");
    }
}

#[test]
fn quoted_and_block_text_stays_text() {
    let tree = only("a: \"yes\"\nb: 'no'\nc: |\n  on\nd: !!str 5\ne: >-\n  017\n");
    assert_eq!(
        tree.value,
        json!({"a": "yes", "b": "no", "c": "on\n", "d": "5", "e": "017"})
    );
}

#[test]
fn plain_scalars_are_read_as_kubernetes_reads_them_and_marked_where_readers_differ() {
    let tree = only("a: yes\nb: 0o17\nc: 017\nd: 1_000\ne: 1:30\nf: 8080\n8081: g\n");
    assert_eq!(
        tree.value,
        json!({"a": true, "b": 15, "c": 15, "d": 1000, "e": "1:30", "f": 8080, "8081": "g"})
    );
    let root = tree.root();
    assert_eq!(root.get("a").unwrap().ambiguous(), Some("yes"));
    assert_eq!(root.get("e").unwrap().ambiguous(), Some("1:30"));
    assert_eq!(root.get("f").unwrap().ambiguous(), None);
}

#[test]
fn a_duplicate_key_names_both_places() {
    let problems = read("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n").problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, codes::YAML_DUPLICATE_KEY);
    assert_eq!(problems[0].origin, Origin::new("a.yaml", 5, 3));
    assert_eq!(problems[0].also, Some(Origin::new("a.yaml", 3, 3)));
    assert_eq!(
        place_of_problem("1: a\n\"1\": b\n"),
        "2:1 yaml-duplicate-key"
    );
}

#[test]
fn each_defect_has_its_code_and_place() {
    let table = [
        ("a: 1\nb: [1, 2\nc: 3\n", "3:2 yaml-syntax"),
        ("a: b: c\n", "1:5 yaml-syntax"),
        ("a: 1\nb:c", "2:4 yaml-syntax"),
        ("a:\n\tb: 1\n", "2:1 yaml-tab"),
        ("a:\n  - x\n \t- y\n", "3:2 yaml-tab"),
        ("a:\tb\n", "1:3 yaml-tab"),
        ("a: \"b\nc\"\n", "1:4 yaml-syntax"),
        ("yes: 1\n", "1:1 yaml-key"),
        ("a:\n  ~: 1\n", "2:3 yaml-key"),
        ("{a: 1}: 1\n", "1:1 yaml-key"),
        ("? [a]\n: 1\n", "1:3 yaml-key"),
        ("a: !!binary aGk=\n", "1:4 yaml-tag"),
        ("a: !Ref b\n", "1:4 yaml-tag"),
        ("a: .inf\n", "1:4 yaml-ambiguous"),
        ("a: *b\n", "1:4 yaml-syntax"),
        ("a: &b [*b]\n", "1:8 yaml-syntax"),
        ("<<: 1\n", "1:1 yaml-syntax"),
        ("a: \u{1}\n", "1:4 yaml-encoding"),
        ("\u{feff}a: 1\n", "1:1 yaml-encoding"),
        ("a: 1\nb: \0\nc: 2\n", "2:4 yaml-encoding"),
    ];
    for (text, wanted) in table {
        assert_eq!(place_of_problem(text), wanted, "{text:?}");
    }
}

#[test]
fn other_encodings_are_named() {
    let read = |bytes: &[u8]| parse("a.yaml", bytes, &Limits::default()).problems;
    let latin = read(b"a: 1\nb: \xe4\n");
    assert_eq!(latin[0].origin, Origin::new("a.yaml", 2, 4));
    assert_eq!(latin[0].code, codes::YAML_ENCODING);
    assert!(read(b"\xff\xfea\0:\0")[0].message.contains("UTF-16"));
}

#[test]
fn good_documents_before_a_broken_one_are_kept() {
    let read = read("a: 1\n---\nb: [\n");
    assert_eq!(read.value.len(), 1);
    assert_eq!(read.problems.len(), 1);
}

#[test]
fn a_last_line_without_its_end_is_read_as_kubernetes_reads_it() {
    assert_eq!(only("a: |\n  x").value, json!({"a": "x"}));
    assert_eq!(only("a: |\n  x\n").value, json!({"a": "x\n"}));
    assert_eq!(only("a: 1").value, json!({"a": 1}));
}

#[test]
fn idioms_of_hand_written_yaml_are_read() {
    let table = [
        (
            "s:\n  a: [\n    v\n  ]\n  b: 1\n",
            json!({"s": {"a": ["v"], "b": 1}}),
        ),
        ("a:\n- v\n- w\n", json!({"a": ["v", "w"]})),
        (
            "a: [http://v/w, 'it''s',]\n",
            json!({"a": ["http://v/w", "it's"]}),
        ),
        ("{\"a\":1,\n\t\"b\":2}\n", json!({"a": 1, "b": 2})),
        ("a: 1\r\nb: |\r\n  v\r\n", json!({"a": 1, "b": "v\n"})),
        ("a: |2\n    v\n", json!({"a": "  v\n"})),
        (
            "a: >-\n  v\n  w\n # c\nb: {c: ,d: 1}\n",
            json!({"a": "v w", "b": {"c": null, "d": 1}}),
        ),
    ];
    for (text, value) in table {
        assert_eq!(only(text).value, value, "{text:?}");
    }
}

#[test]
fn aliases_and_merge_keys_expand_to_the_anchors_value_and_place() {
    let tree = only("base: &base\n  u: 1\n  v: 2\nmore:\n  <<: *base\n  v: 3\nsame: *base\n");
    assert_eq!(tree.value["more"], json!({"u": 1, "v": 3}));
    assert_eq!(tree.value["same"], json!({"u": 1, "v": 2}));
    assert_eq!(tree.origin(&["more".into(), "u".into()]).line, 2);
    assert_eq!(tree.origin(&["more".into(), "v".into()]).line, 6);
    assert_eq!(
        place_of_problem("a: &a {x: 1}\nb:\n  x: 2\n  <<: *a\n"),
        "4:3 yaml-ambiguous"
    );
}

#[test]
fn bombs_end_at_their_budget_at_once() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        laughs += &format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(", "));
    }
    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(1 << 18),
        "*a, ".repeat(9000)
    );
    let deep = "[".repeat(100_000);
    let deep_block = (0..200).map(|n| " ".repeat(n) + "a:\n").collect::<String>();
    let quadratic = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x, ".repeat(1000),
        "*a, ".repeat(1000)
    );
    let many = "---\na: 1\n".repeat(50_001);
    let keys = (0..10_001)
        .map(|n| format!("k{n}: 1\n"))
        .collect::<String>();
    let big = "a: 1\n".repeat(1 << 20);
    for bomb in [laughs, long, deep, deep_block, quadratic, many, keys, big] {
        let start = Instant::now();
        let read = read(&bomb);
        assert_eq!(read.problems[0].code, codes::YAML_LIMIT, "{:.40}", bomb);
        assert!(start.elapsed() < Duration::from_secs(60), "{:.40}", bomb);
    }
}

#[test]
fn a_mapping_at_the_depth_limit_is_read() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(read(&nested(64)).problems, []);
    assert_eq!(place_of_problem(&nested(65)), "1:65 yaml-limit");
}

#[test]
fn problems_never_quote_values() {
    for text in [
        "kind: Secret\ndata:\n  p: hunter2: x\n",
        "kind: Secret\ndata:\n  p: \"hunter2\n",
        "kind: Secret\ndata:\n  p: hunter2\n  p: hunter2\n",
        "kind: Secret\ndata:\n  p: !!int hunter2\n",
        "kind: Secret\ndata:\n  p: [hunter2\n",
        "kind: Secret\ndata:\n  p: 'hunter2'x\n",
    ] {
        let problems = read(text).problems;
        assert!(!problems.is_empty(), "{text}");
        for problem in problems {
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        parse("a.yaml", &bytes, &Limits::default());
    }

    #[test]
    fn no_yamlish_text_makes_it_panic(text in "[-a:&*!<>|#%@{}\\[\\],\"' \n\t?~0-9.]{0,200}") {
        parse("a.yaml", text.as_bytes(), &Limits::default());
    }

    #[test]
    fn json_reads_as_itself(value in json_value()) {
        let text = serde_json::to_string_pretty(&json!({"v": value})).unwrap();
        let tree = only(&text);
        prop_assert_eq!(&tree.value["v"], &value);
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~äöü]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[ -~]{0,8}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place in a tree, keys' places included.
fn places(node: Node<'_>, into: &mut Vec<Origin>) {
    into.push(node.origin());
    for (_, key, value) in node.entries() {
        into.push(key);
        places(value, into);
    }
    for item in node.items() {
        places(item, into);
    }
}

/// Everything that names a place in a text names one that an editor can go to.
fn stays_within(text: &str) -> Result<(), TestCaseError> {
    let last = text.replace("\r\n", "\n").split(['\n', '\r']).count();
    let read = read(text);
    let mut all: Vec<Origin> = read
        .problems
        .iter()
        .map(|problem| problem.origin.clone())
        .collect();
    for tree in &read.value {
        places(tree.root(), &mut all);
    }
    for place in all {
        prop_assert!(
            (1..=last).contains(&(place.line as usize)) && place.column >= 1,
            "{text:?}: {place}"
        );
    }
    Ok(())
}

#[test]
fn texts_that_break_off_have_their_places_in_the_text() {
    for text in [
        "? ", "?", "a:", "a: ", "- ", "-", "a: {b", "a: |", "? a\n:", "a:\r", "&a", "a: *",
    ] {
        stays_within(text).unwrap();
    }
}

proptest! {
    #[test]
    fn places_lie_in_the_text(text in "[ab1:,&*!?%~|>#<'\"{}\\[\\] \t\r\n-]{0,40}") {
        stays_within(&text)?;
    }
}

/// Whether plain block YAML is read as the libraries read it; `None` where it is left to them.
fn agrees(text: &str) -> Option<()> {
    let (quick, measure) = both_readings("a.yaml", text.as_bytes(), &Limits::default())?;
    assert_eq!(measure.problems, [], "{text:?}");
    assert_eq!(quick, measure.value, "{text:?}");
    Some(())
}

#[test]
fn hand_written_manifests_are_read_in_one_go_as_the_libraries_read_them() {
    for text in [
        "a: 1\n",
        "# c\n---\n# d\na: b # e\nc:\n- d\n- e: f\n  g: \"h #\" # i\n-   - j\n    - k\nl:\n  - '[{\"m\": 1}]'\n---\ns: {}\no: []\n",
        "host: a.example.com\nport: 80\nsize: 1Gi\nip: 10.0.0.0/8\nyes1: yes\nno1: off\nt: true\nnil: null\ntime: 1:30\nzero: 0\npath: /a b\nversion: 1.2.3\nempty: \"\"\n\n\nlast: x",
        "a:   b  \nc:\n     d: e\n  \nf: g\n",
        "a: b: c\n",
    ] {
        let is_quick = agrees(text).is_some();
        assert_eq!(is_quick, !text.contains("a: b: c"), "{text}");
    }
    for left in [
        "a:\n",
        "a: b\n c\n",
        "a: |\n  b\n",
        "a: &x b\n",
        "a: [b]\n",
        "- a\n b\n",
        "yes: 1\n",
        "a: 017\n",
        "a: \"\\n\"\n",
        "a: 'b''c'\n",
        "a: 1.5\n",
        "a: ü\n",
        "a:\tb\n",
        "---\n---\na: b\n",
        "a: 1\na: 2\n",
        "",
        "a: 0x10000000000000000\n",
        "a: 'b' c\n",
        "a: 'b'#c\n",
        "a: 1\n...\n",
        " a: 1\n",
        "--- a\n",
        "-\n  a: 1\n",
    ] {
        assert_eq!(agrees(left), None, "{left}");
    }
}

/// Lines as people write them, most of them in their place.
fn block_text() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a: b",
        "key: value",
        "k:",
        "- x",
        "- a: 1",
        "- - y",
        "-",
        "b: 'q'",
        "c: \"q\" # c",
        "# c",
        "",
        "---",
        "d: 80",
        "e: 1:30",
        "f: no",
        "g: 0x1f",
        "h: a # c",
        "i: {}",
        "j: []",
        "l: a:b",
        "m: a#b",
        "n: -5",
        "o: 1.5",
        "p: on",
        "- k:",
        "a.b/c: d",
        "q: 'it''s'",
        "r: \"a\\tb\"",
        "s: {a: b}",
        "t: |",
        "u: >-",
        "v: *a",
        "w: !!str 1",
        "x: 1_000",
        "y: z",
        "z: 99999999999999999999",
        "...",
        "- \"q\"",
        "- 'a': b",
        "? a",
        "- # c",
        "aa: - b",
        "bb: a: b",
        "cc: a:",
        "dd: 12345678901234567",
        "ee: 0b11",
        "ff: 08",
        "gg: 2024-01-01",
        "hh: ~",
        "null: a",
        "1: a",
        "ii: (a)",
        "jj: $a",
        "kk:  two  blanks ",
        "ll: %a",
        "- [a]",
        "mm: 'a' 'b'",
        "nn: 0o17",
        "oo: 1e3",
        "pp: +1",
        "qq: .5",
        "rr: ...",
        "ss: ---",
        "tt: a, b",
        "uu: ,a",
        "vv: ]",
        "ww: =",
        "xx: <<",
        "<<: a",
        "yy: 1a",
        "zz: 0",
        "ab: 00",
        "ac: a\u{7f}b",
    ]);
    let line =
        (0..4usize, part).prop_map(|(indent, part)| format!("{}{part}\n", "  ".repeat(indent)));
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.concat())
}

/// Documents of plain keys and texts: nearly all of them are read in one go.
fn plain_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0..100_000u32).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-z/$(^][a-zA-Z0-9/:.,#*&!{}= -]{0,12}[a-z0-9]".prop_map(Value::from),
        "[0-9]{1,3}[a-zA-Z0-9/:._-]{0,5}".prop_map(Value::from),
        "[a-zA-Z0-9{}:, *&#\\[\\]]{0,8}".prop_map(Value::from),
    ];
    let map = |value: BoxedStrategy<Value>| {
        let key = "[a-z][a-zA-Z0-9./-]{0,8}";
        let map = proptest::collection::btree_map(key, value, 1..4);
        map.prop_map(|map| Value::Object(map.into_iter().collect()))
    };
    let value = leaf.prop_recursive(4, 20, 4, move |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        prop_oneof![list, map(inner.boxed())]
    });
    let documents = proptest::collection::vec(map(value.boxed()), 1..3);
    documents.prop_map(|documents| {
        let texts: Vec<String> = documents.iter().map(write).collect();
        texts.join("---\n")
    })
}

/// How many of a thousand texts are read in one go.
fn in_one_go(texts: impl Strategy<Value = String>) -> usize {
    let mut runner = TestRunner::deterministic();
    let taken = (0..1000).filter(|_| {
        let text = texts.new_tree(&mut runner).unwrap().current();
        agrees(&text).is_some()
    });
    taken.count()
}

#[test]
fn texts_that_are_compared_are_read_in_one_go() {
    let [plain, lines, values] = [
        in_one_go(plain_text()),
        in_one_go(block_text()),
        in_one_go(json_value().prop_map(|value| write(&value))),
    ];
    assert!(
        plain >= 500 && lines >= 5 && values >= 50,
        "{plain}, {lines} and {values} of 1000"
    );
}

#[test]
fn the_examples_are_read_in_one_go_where_no_text_spans_lines() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tutorial");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let spans_lines = text.contains(": |\n");
            assert_eq!(agrees(&text).is_some(), !spans_lines, "{}", path.display());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_is_read_in_one_go_is_what_the_libraries_read(text in block_text()) {
        agrees(&text);
    }

    #[test]
    fn plain_documents_are_read_in_one_go_as_the_libraries_read_them(text in plain_text()) {
        agrees(&text);
    }

    #[test]
    fn no_text_is_read_otherwise_in_one_go(text in "[ab01:,&*|>#<'\"{}\\[\\] \n\\-~.]{0,30}") {
        agrees(&text);
    }

    #[test]
    fn values_written_as_yaml_are_read_in_one_go_as_the_libraries_read_them(value in json_value()) {
        agrees(&write(&value));
    }
}
