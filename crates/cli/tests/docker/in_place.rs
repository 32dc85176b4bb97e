//! What is restored in place is what the archive holds, to the byte, and a rollback brings back what was there.

use crate::support::{Damage, Shop, assert_same};

#[test]
fn in_place_every_file_is_as_in_the_archive_and_a_rollback_brings_back_every_byte() {
    let shop = Shop::of_files();
    let archived = shop.trees_of_archive("nightly");
    shop.damage(Damage(1));
    let before = shop.now();

    let restored = shop.restore(&["--json"]).expect(0).json();
    assert_eq!(restored["status"], "completed");
    let now = shop.trees();
    assert_same(&archived.0, &now.0, "the volume is not as in the archive");
    assert_same(&archived.1, &now.1, "the project is not as in the archive");
    before.objects.expect_now(&shop.name);
    assert!(shop.page("index.html").contains("The shop"));

    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    shop.expect_as_before(&before);
    assert!(shop.page("index.html").contains("Damaged 1"));
}
