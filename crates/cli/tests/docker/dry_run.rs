//! A dry run changes nothing, and shows what a run then does.

use serde_json::Value;

use crate::support::{Damage, Shop, Tree, assert_same};

/// The steps of `plan` without what differs from one plan to the next: the operation's id.
fn steps(plan: &Value) -> String {
    plan["steps"].to_string().replace(plan["id"].as_str().unwrap(), "ID")
}

#[test]
fn a_dry_run_changes_nothing_and_shows_the_plan_that_a_run_follows() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let before = shop.now();
    // Being locked and unlocked leaves a mark on the repository's own directory, as with borg.
    let repository = || Tree::of(&shop.repository).without_root_time();
    let repository_before = repository();
    let archive = shop.archive("nightly");
    let dry_run = ["docker", "restore", &archive, "--in-place", "--dry-run"];

    let for_people = shop.reprise(&dry_run).expect(0);
    let for_programs = shop.reprise(&[&dry_run[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(for_programs["ready"], true);
    let elsewhere = shop.sandbox.dir.join("elsewhere");
    let to = ["docker", "restore", &archive, "--to", elsewhere.to_str().unwrap(), "--adapt", "auto-modify"];
    shop.reprise(&[&to[..], &["--dry-run"]].concat()).expect(0);
    shop.reprise(&[&to[..], &["--script", "complete"]].concat()).expect(0);
    shop.reprise(&["archives", shop.repository.to_str().unwrap()]).expect(0);
    shop.reprise(&["contents", &archive]).expect(0);
    shop.reprise(&["operations", "list"]).expect(0);

    shop.expect_as_before(&before);
    assert!(!elsewhere.exists());
    shop.expect_nothing_begun();
    assert_same(&repository_before, &repository(), "the repository is not as before");

    let run = shop.restore(&[]).expect(0);
    let planned = |line: &&str| line.trim_start().starts_with('[') && !line.contains(" s)");
    let mark = |text: &str| text.lines().filter(planned).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(mark(&for_people.stdout), mark(&run.stdout), "another plan is shown");
    let journal = shop.reprise(&["operations", "log", "latest", "--json"]).expect(0).json();
    assert_eq!(steps(&for_programs["plan"]), steps(&journal[0]["plan"]), "another plan is followed");
    assert_same(&repository_before, &repository(), "the repository is not as before the run");
}

#[test]
fn what_a_run_would_refuse_a_dry_run_refuses() {
    let shop = Shop::of_files();
    let archive = shop.archive("nightly");
    let occupied = shop.sandbox.dir.join("occupied");
    std::fs::create_dir_all(occupied.join("volumes").join(&shop.volume)).unwrap();
    let to = ["docker", "restore", &archive, "--to", occupied.to_str().unwrap()];
    let dry = shop.reprise(&[&to[..], &["--dry-run"]].concat()).expect(2).says(&["already"]);
    let real = shop.reprise(&[&to[..], &["--yes"]].concat()).expect(2);
    let error = |text: &str| text.lines().find(|line| line.starts_with("error:")).map(str::to_owned);
    assert_eq!(error(&dry.stderr), error(&real.stderr));
    let json = shop.reprise(&[&to[..], &["--dry-run", "--json"]].concat()).expect(2).json();
    assert_eq!(json["ready"], false);
    shop.expect_nothing_begun();
}
