//! `--express`: the newest archive that is sound, after one confirmation (DR-2).

use crate::support::{Damage, Shop, assert_same};

#[test]
fn the_newest_archive_that_is_sound_is_restored_and_newer_ones_are_told() {
    let shop = Shop::of_files();
    let repository = shop.repository.to_str().unwrap();
    // What a backup leaves that did not end.
    shop.borg(&["create", "::later.checkpoint", shop.data().to_str().unwrap()]);
    let archived = shop.trees_of_archive("nightly");
    shop.damage(Damage(1));
    let before = shop.now();
    let restored = shop.reprise(&["docker", "restore", repository, "--express", "--yes"]).expect(0);
    assert!(restored.stdout.contains("later.checkpoint is passed over"), "{}", restored.stdout);
    assert_eq!(shop.record()["source"]["archive"], "nightly");
    let now = shop.trees();
    assert_same(&archived.0, &now.0, "the volume is not as in the archive");
    assert_same(&archived.1, &now.1, "the project is not as in the archive");
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    shop.expect_as_before(&before);

    // Nobody is there to confirm it.
    shop.reprise(&["docker", "restore", repository, "--express"]).expect(2).says(&["--yes"]);
    shop.borg(&["delete", "::nightly"]);
    shop.reprise(&["docker", "restore", repository, "--express", "--yes"])
        .expect(2)
        .says(&["no archive that is sound", "reprise verify"]);
    shop.expect_as_before(&before);
}
