//! Entrances for fuzzing: one function for each parser of what others wrote. Not a part of the interface.
//!
//! A target must end without a panic for any input, and asserts what must hold besides: sizes stay within what was allowed, what was
//! accepted once is accepted again, a value that is cut off is known to be incomplete. `cargo fuzz` (`make fuzz`) looks for
//! inputs; those worth keeping lie in `fuzz/corpus/<target>`, and a test here runs all of them.

mod compressed;
mod metadata;
mod stored;

/// A target: its name, and what runs it with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 19] = [
    ("config", stored::config),
    ("index", stored::index),
    ("integrity", stored::integrity),
    ("segment", stored::segment),
    ("key", stored::key),
    ("rpc", stored::rpc),
    ("catalogue", stored::catalogue),
    ("patterns", stored::patterns),
    ("msgpack", metadata::msgpack),
    ("manifest", metadata::manifest),
    ("archive", metadata::archive),
    ("item", metadata::item),
    ("items", metadata::items),
    ("none", compressed::none),
    ("lz4", compressed::lz4),
    ("zstd", compressed::zstd),
    ("zlib", compressed::zlib),
    ("lzma", compressed::lzma),
    ("obfuscate", compressed::obfuscate),
];

/// Runs the target called `name`.
///
/// # Panics
/// If there is none, and if what must hold does not.
pub fn run(name: &str, input: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).expect("a target of this name");
    target(input);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::{TARGETS, run};

    /// Together, so that a clone stays small.
    const MOST_BYTES: u64 = 1 << 20;

    #[test]
    fn everything_that_fuzzing_kept_is_still_dealt_with() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let mut bytes = 0;
        for (target, _) in TARGETS {
            let mut inputs = 0;
            for entry in fs::read_dir(fuzz.join("corpus").join(target)).expect(target) {
                let path = entry.unwrap().path();
                let input = fs::read(&path).unwrap();
                bytes += input.len() as u64;
                inputs += 1;
                let done = std::panic::catch_unwind(|| run(target, &input));
                assert!(done.is_ok(), "{}", path.display());
            }
            assert!(inputs >= 3, "{target} has a corpus");
        }
        assert!(bytes < MOST_BYTES, "{bytes} bytes of corpora");
        let names = |of: &str| -> BTreeSet<_> {
            let entries = fs::read_dir(fuzz.join(of)).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
        };
        let targets: BTreeSet<_> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
        assert_eq!(names("corpus"), targets);
        assert_eq!(names("fuzz_targets"), targets);
    }

    /// Differs from `input` in a few places: bytes changed, repeated, cut out, or taken from elsewhere in it.
    fn altered(input: &[u8], next: &mut impl FnMut() -> usize) -> Vec<u8> {
        let mut altered = input.to_vec();
        for _ in 0..=next() % 4 {
            let len = altered.len().max(1);
            let (at, from) = (next() % len, next() % len);
            let end = (from + next() % 16).min(altered.len());
            match next() % 6 {
                0 if !altered.is_empty() => altered[at] = next() as u8,
                1 if !altered.is_empty() => altered[at] ^= 1 << (next() % 8),
                2 if !altered.is_empty() => altered[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][next() % 6],
                3 => drop(altered.drain(from.min(end)..end)),
                4 => altered.truncate(at),
                _ => {
                    let part = altered[from.min(end)..end].to_vec();
                    let at = at.min(altered.len());
                    altered.splice(at..at, part);
                }
            }
        }
        altered
    }

    #[test]
    fn what_is_close_to_what_was_kept_is_dealt_with_as_well() {
        const EACH: usize = 60;
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as usize
        };
        for (target, _) in TARGETS {
            let mut paths: Vec<_> = fs::read_dir(fuzz.join("corpus").join(target))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            paths.sort();
            for path in paths {
                let input = fs::read(path).unwrap();
                for _ in 0..EACH {
                    let altered = altered(&input, &mut next);
                    let done = std::panic::catch_unwind(|| run(target, &altered));
                    assert!(done.is_ok(), "{target}: {altered:?}");
                }
            }
        }
    }

    #[test]
    fn any_target_takes_short_and_dull_inputs() {
        for (target, _) in TARGETS {
            for len in [0, 1, 2, 3, 8, 41, 300] {
                for fill in [0x00, 0x01, 0x7f, 0x80, 0xc1, 0xff] {
                    run(target, &vec![fill; len]);
                }
            }
        }
    }
}
