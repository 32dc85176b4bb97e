//! The passphrase is seen nowhere.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{Damage, Ended, PASSPHRASE, Shop, run, run_in};

/// Every file below `directory` that holds the passphrase.
fn holding(directory: &Path) -> String {
    if !directory.exists() {
        return String::new();
    }
    let args = ["-c", &format!("grep -rlF -- '{PASSPHRASE}' . || true")];
    run_in(directory, "sh", args)
}

fn expect_silent(ended: &Ended) {
    let Ended { stdout, stderr, command, .. } = ended;
    assert!(!stdout.contains(PASSPHRASE) && !stderr.contains(PASSPHRASE), "{command} shows the passphrase");
}

#[test]
fn no_passphrase_is_seen_in_scripts_output_processes_or_records() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let seen = scope.spawn(|| {
            let mut looked = 0_u64;
            while !over.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").unwrap().flatten() {
                    let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).into_owned();
                    assert!(!line.contains(PASSPHRASE), "the passphrase is in a command line: {line}");
                    looked += u64::from(line.contains("reprise"));
                }
            }
            looked
        });
        let archive = shop.archive("nightly");
        let file = shop.sandbox.dir.join("passphrase");
        fs::write(&file, format!("{PASSPHRASE}\n")).unwrap();
        for detail in ["explained", "complete"] {
            let args = ["docker", "restore", &archive, "--in-place", "--script", detail];
            expect_silent(&shop.reprise(&args).expect(0));
        }
        expect_silent(&shop.restore(&["--json"]).expect(0));
        expect_silent(&shop.reprise(&["operations", "log", "latest"]).expect(0));
        expect_silent(&shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0));
        let mut by_command = shop.command(&["docker", "restore", &archive, "--in-place", "--yes"]);
        by_command.env_remove("BORG_PASSPHRASE").env("BORG_PASSCOMMAND", format!("cat {}", file.display()));
        expect_silent(&run(&mut by_command).expect(0));
        // An error, too, on a repository that it does not open.
        let mut wrong = shop.command(&["archives", shop.repository.to_str().unwrap()]);
        expect_silent(&run(wrong.env("BORG_PASSPHRASE", format!("{PASSPHRASE}!"))).expect(2));
        over.store(true, Ordering::Relaxed);
        assert!(seen.join().unwrap() > 10, "nobody looked at the process list");
        fs::remove_file(file).unwrap();
    });
    assert_eq!(holding(&shop.state), "");
    assert_eq!(holding(&shop.repository), "");
    assert_eq!(holding(&shop.sandbox.dir.join("home")), "");
}
