//! See `reprise_borg::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| reprise_borg::fuzzing::run("none", input));
