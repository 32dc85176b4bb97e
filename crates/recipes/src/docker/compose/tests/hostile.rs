//! Files made to hurt.

use std::fmt::Write;

use rustix::time::{ClockId, Timespec, clock_gettime};

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

/// Ten times as much is about ten times the work, not a hundred times. Counted in this thread's time on a processor, which does
/// not depend on what else runs.
fn assert_grows_with_size(size: usize, work: impl Fn(usize)) {
    let taken = |size| {
        let now = || {
            let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
            tv_sec as f64 + tv_nsec as f64 / 1e9
        };
        let begin = now();
        work(size);
        now() - begin
    };
    taken(size);
    let (some, much) = (taken(size), taken(10 * size));
    assert!(much < 40.0 * some, "{some} s for {size}, and {much} s for ten times as much");
}

#[test]
fn what_is_merged_many_times_takes_no_longer_than_its_size() {
    assert_grows_with_size(4, |services| {
        let mut text = "x-base: &base\n".to_owned();
        for key in 0..2000 {
            let _ = writeln!(text, "  k{key}: v");
        }
        text.push_str("services:\n");
        for service in 0..services {
            let _ = writeln!(
                text,
                "  s{service}:\n    <<: *base\n    volumes: ['data:/x', '/srv/media/{service}:/y']"
            );
        }
        let adapted = auto(&text, &relocation()).unwrap();
        assert_eq!(adapted.changes.len(), 2 * services);
    });
}

#[test]
fn a_long_chain_of_services_takes_no_longer_than_its_size() {
    assert_grows_with_size(2000, |services| {
        let mut text = "services:\n".to_owned();
        for n in 0..services {
            let _ = writeln!(text, "  s{n}: {{depends_on: [s{}]}}", n + 1);
        }
        let order = order_of(&read(&text).unwrap());
        assert_eq!(order.start[0], format!("s{}", services - 1));
    });
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
fn tangled_services_take_no_longer_than_their_size() {
    assert_grows_with_size(1200, |services| {
        let mut text = "services:\n".to_owned();
        for n in 0..services {
            let _ = writeln!(text, "  s{n}: {{extends: s{}, depends_on: [s{}, t{n}]}}", n + 1, n + 1);
            let _ = writeln!(text, "  t{n}: {{depends_on: [s{n}]}}");
        }
        let order = order_of(&read(&text).unwrap());
        assert_eq!(order.start.len(), 2 * services);
    });
}
