//! Files made to hurt.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::super::{ComposeError, limits, read};
use super::{auto, order_of, relocation};

#[test]
fn sizes_are_limited() {
    let text = " ".repeat(limits::TEXT_BYTES + 1);
    assert!(matches!(read(&text), Err(ComposeError::TooLarge { .. })));
    let text = format!("a: [{}]", "1,".repeat(limits::VALUES));
    assert!(matches!(read(&text), Err(ComposeError::TooManyValues { .. })));
}

#[test]
fn depth_is_limited() {
    for text in [
        format!("a: {}", "[".repeat(200)),
        format!("a: {}x", "{a: ".repeat(100)),
        "- ".repeat(50_000),
        (0..500).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(matches!(error, ComposeError::TooDeep { .. } | ComposeError::Syntax { .. }), "{error}");
    }
    // Deep only through aliases.
    let mut text = "x0: &a0 [1]\n".to_owned();
    for level in 1..100 {
        let _ = writeln!(text, "x{level}: &a{level} [*a{}]", level - 1);
    }
    assert!(matches!(read(&text), Err(ComposeError::TooDeep { .. })));
}

#[test]
fn alias_bombs_do_not_go_off() {
    let mut text = "x0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..30 {
        let alias = format!("*a{}, ", level - 1).repeat(9);
        let _ = writeln!(text, "x{level}: &a{level} [{alias}]");
    }
    assert!(matches!(read(&text), Err(ComposeError::TooManyValues { .. })));
    let mut text = "x0: &a0 {k: v}\n".to_owned();
    for level in 1..30 {
        let alias = format!("*a{}, ", level - 1).repeat(9);
        let _ = writeln!(text, "x{level}: &a{level} {{<<: [{alias}]}}");
    }
    assert!(matches!(read(&text), Err(ComposeError::TooManyValues { .. })));
}

#[test]
fn circles_of_aliases_are_refused() {
    for text in ["a: &x [*x]\n", "services: &s\n  web: {<<: *s}\n", "a: &x {b: *x}\n"] {
        let error = read(text).unwrap_err();
        assert!(
            matches!(error, ComposeError::RecursiveAlias { .. } | ComposeError::Syntax { .. }),
            "{error}"
        );
    }
}

#[test]
fn extends_in_a_circle_ends() {
    let text = "services:\n  a: {extends: b}\n  b: {extends: {service: a}}\n  c: {extends: c}\n";
    let file = read(text).unwrap();
    assert_eq!(file.lineage("a").len(), 2);
    assert_eq!(file.lineage("c").len(), 1);
}

#[test]
fn large_files_do_not_take_long() {
    let begin = Instant::now();
    let mut text = "x-base: &base\n".to_owned();
    for key in 0..2000 {
        let _ = writeln!(text, "  k{key}: v");
    }
    text.push_str("services:\n");
    for service in 0..40 {
        let _ = writeln!(
            text,
            "  s{service}:\n    <<: *base\n    volumes: ['data:/x', '/srv/media/{service}:/y']"
        );
    }
    let adapted = auto(&text, &relocation()).unwrap();
    assert_eq!(adapted.changes.len(), 80);
    let many: String = (0..20_000)
        .fold("services:\n".into(), |text, n| text + &format!("  s{n}: {{depends_on: [s{}]}}\n", n + 1));
    let order = order_of(&read(&many).unwrap());
    assert_eq!(order.start[0], "s19999");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn nonsense_never_panics() {
    let pieces = [
        "services:",
        "\n",
        " ",
        "- ",
        "&a ",
        "*a",
        "<<: ",
        "{",
        "}",
        "[",
        "]",
        "'",
        "\"",
        "|",
        ">",
        "é",
        "volumes:",
        "a:/b",
        "\t",
        "\r\n",
        ": ",
        "?",
        "#x",
        "!reset ",
        "---",
        "%",
        "\u{feff}",
        "$",
        "${",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..24 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(pieces[(state % pieces.len() as u64) as usize]);
        }
        let _ = auto(&text, &relocation());
    }
}

#[test]
fn tangled_services_do_not_take_long() {
    let begin = Instant::now();
    let mut text = "services:\n".to_owned();
    for n in 0..12_000 {
        let _ = writeln!(text, "  s{n}: {{extends: s{}, depends_on: [s{}, t{n}]}}", n + 1, n + 1);
        let _ = writeln!(text, "  t{n}: {{depends_on: [s{n}]}}");
    }
    let file = read(&text).unwrap();
    let order = order_of(&file);
    assert_eq!(order.start.len(), 24_000);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}
