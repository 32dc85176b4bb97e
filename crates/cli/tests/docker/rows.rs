//! A database comes back with the rows of the backup, and a rollback with those that were there before.

use crate::support::{Shop, assert_same, run};

const COUNT: &str = "SELECT count(*) FROM orders";

#[test]
fn a_running_database_comes_back_and_goes_back_even_when_the_restore_is_killed() {
    let shop = Shop::of_rows();
    shop.sql("INSERT INTO orders SELECT generate_series(1001, 1234)");
    shop.sql("CREATE TABLE newer (id integer)");

    shop.restore(&[]).expect(0);
    assert_eq!(shop.sql(COUNT), "1000");
    assert_eq!(shop.sql("SELECT to_regclass('newer')"), "");
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    assert_eq!(shop.sql(COUNT), "1234");

    // Killed when the database is stopped, its data half-way exchanged.
    let restore = shop.command(&["docker", "restore", &shop.archive("nightly"), "--in-place", "--yes"]);
    for (action, rows) in [("resume", "1000"), ("rollback", "1234"), ("rollback", "1234")] {
        if shop.record()["status"] != "interrupted" {
            let killed = super::killed::killed_at(&restore, "renameat2", 4);
            assert_eq!(killed.code, super::killed::KILLED, "{}", killed.stderr);
        }
        shop.reprise(&["operations", action, "latest", "--yes"]).expect(0);
        shop.wait_for_rows();
        assert_eq!(shop.sql(COUNT), rows);
        if action == "resume" {
            shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
        }
    }
    assert_eq!(shop.marked(), Vec::<String>::new());
}

#[test]
fn a_stopped_database_is_restored_and_rolled_back_to_the_byte() {
    let shop = Shop::of_rows();
    shop.sql("INSERT INTO orders SELECT generate_series(1001, 1234)");
    shop.compose(&["stop"]);
    let archived = shop.trees_of_archive("nightly");
    let before = shop.now();

    shop.restore(&[]).expect(0);
    let now = shop.trees();
    assert_same(&archived.0, &now.0, "the volume is not as in the archive");
    assert_same(&archived.1, &now.1, "the project is not as in the archive");
    before.objects.expect_now(&shop.name);
    shop.compose(&["start"]);
    shop.wait_for_rows();
    assert_eq!(shop.sql(COUNT), "1000");

    // The restore had stopped nothing, so neither does its rollback: it refuses while the data is in use.
    let rollback = ["operations", "rollback", "latest", "--yes"];
    shop.reprise(&rollback).expect(2).says(&["uses it", "stop that container"]);
    assert_eq!(shop.sql(COUNT), "1000");
    shop.compose(&["stop"]);
    shop.reprise(&rollback).expect(0);
    shop.expect_as_before(&before);
    shop.compose(&["start"]);
    shop.wait_for_rows();
    assert_eq!(shop.sql(COUNT), "1234");
}

#[test]
fn containers_stay_stopped_when_that_is_asked_for() {
    let shop = Shop::of_rows();
    let archived = shop.trees_of_archive("nightly");
    shop.sql("INSERT INTO orders SELECT generate_series(1001, 1234)");
    shop.restore(&["--no-restart"]).expect(0);
    let now = shop.trees();
    assert_same(&archived.0, &now.0, "the volume is not as in the archive");
    assert!(shop.objects().containers.values().all(|container| container.contains("running false")));
    shop.compose(&["start"]);
    shop.wait_for_rows();
    assert_eq!(shop.sql(COUNT), "1000");
    run(&mut shop.command(&["operations", "rollback", "latest", "--yes"])).expect(0);
    shop.wait_for_rows();
    assert_eq!(shop.sql(COUNT), "1234");
}
