//! Lost metadata costs the items that it described and no others, is told, and never makes one item of two.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::forge::{self, FILE, Forge, Value, bytes, id_of, pack};
use common::{Bench, locate};
use reprise_borg::{Damage, Error, Extraction, Id, Item, Kind, LostItems, Options, ProblemKind, Repository};
use reprise_model::Unobserved;

/// Many items with hard links among them, and much metadata.
fn prepared(encryption: &str) -> Bench {
    let bench = Bench::with(encryption);
    let padding = "x".repeat(220);
    for dir in ["a", "b", "c", "d"] {
        fs::create_dir(bench.src().join(dir)).unwrap();
        for number in 0..700 {
            let name = bench.src().join(format!("{dir}/{number:04}-{padding}"));
            // Content makes items that look less alike.
            fs::write(&name, format!("{}", number % 7).repeat(number % 50)).unwrap();
            if number % 100 == 0 && dir != "a" {
                fs::hard_link(&name, bench.src().join(format!("a/{dir}-{number:04}-{padding}"))).unwrap();
            }
        }
    }
    let target = format!("{}::a", bench.repo().display());
    // In this order first names come from b, c and d, and further ones lie in a.
    bench.borg_in(&bench.src(), &["create", &target, "b", "c", "d", "a"]);
    bench
}

/// The ids of the archive's metadata chunks, as borg tells them.
fn metadata(bench: &Bench) -> Vec<Id> {
    let target = format!("{}::a", bench.repo().display());
    bench.borg(&["debug", "dump-archive", &target, "dump.json"]);
    let dump: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.path("dump.json")).unwrap()).unwrap();
    let ids = dump["_meta"]["items"].as_array().unwrap().iter();
    ids.map(|id| Id::from_hex(id.as_str().unwrap().trim_start_matches('\x7f')).unwrap()).collect()
}

/// What can be read, and what is told to be lost.
fn read(repository: &Repository) -> (Vec<Item>, Vec<LostItems>) {
    let (mut items, mut lost) = (Vec::new(), Vec::new());
    for item in repository.archive("a").unwrap().items() {
        match item {
            Ok(item) => items.push(item),
            Err(Error::ItemsLost(gap)) => lost.push(*gap),
            Err(error) => panic!("{error}"),
        }
    }
    (items, lost)
}

fn flip(bench: &Bench, id: Id) {
    let (segment, at) = locate(bench, id);
    let mut content = fs::read(&segment).unwrap();
    content[at + 50] ^= 1;
    fs::write(segment, content).unwrap();
}

fn paths(items: &[Item]) -> Vec<Vec<u8>> {
    items.iter().map(|item| item.path.clone()).collect()
}

/// Checks what is read against what was there, and returns how many items are lost.
fn assert_only_gaps(whole: &[Item], items: &[Item], lost: &[LostItems]) -> usize {
    let mut gaps = lost.iter();
    let mut found = items.iter().peekable();
    let mut before: Option<&Item> = None;
    let mut is_lost = false;
    let mut count = 0;
    for item in whole {
        if found.peek().is_some_and(|found| *found == item) {
            found.next();
            if is_lost {
                let gap = gaps.next().expect("every gap is told");
                assert_eq!(gap.after.as_ref(), before.map(|item| &item.path));
                assert_eq!(gap.before.as_ref(), Some(&item.path));
            }
            (is_lost, before) = (false, Some(item));
        } else {
            is_lost = true;
            count += 1;
        }
    }
    assert!(found.next().is_none(), "an item that was never there");
    if is_lost {
        let gap = gaps.next().expect("every gap is told");
        assert_eq!((gap.after.as_ref(), &gap.before), (before.map(|item| &item.path), &None));
    }
    assert!(gaps.next().is_none());
    count
}

#[test]
fn damaged_metadata_costs_what_a_repair_by_borg_would_lose() {
    as_a_repair("none", &[&[0], &[1, 2]], &|bench, ids| ids.iter().for_each(|id| flip(bench, *id)));
}

#[test]
fn missing_metadata_costs_what_a_repair_by_borg_would_lose() {
    as_a_repair("repokey-blake2", &[&[0, 2, 4], &[LAST]], &|bench, ids| {
        for id in ids {
            bench.borg(&["debug", "delete-obj", bench.repo().to_str().unwrap(), &id.to_string()]);
        }
    });
}

/// Stands for the number of the last piece.
const LAST: usize = usize::MAX;

/// What is read once `damage` has made metadata chunks of no use is what borg's own repair leaves of the archive.
fn as_a_repair(encryption: &str, cases: &[&[usize]], damage: &dyn Fn(&Bench, &[Id])) {
    let bench = prepared(encryption);
    let ids = metadata(&bench);
    let end = ids.len() - 1;
    // How many there are, chance has its say in.
    assert!(end >= 2, "{end}");
    let (whole, none) = read(&bench.open());
    assert!(none.is_empty());
    fs::rename(bench.repo(), bench.path("sound")).unwrap();
    for pieces in cases {
        let mut pieces: Vec<usize> = pieces.iter().map(|piece| *piece.min(&end)).collect();
        pieces.dedup();
        let copy = |from: &Path, to: &Path| {
            let _ = fs::remove_dir_all(to);
            assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
        };
        copy(&bench.path("sound"), &bench.repo());
        damage(&bench, &pieces.iter().map(|piece| ids[*piece]).collect::<Vec<_>>());
        let (items, lost) = read(&bench.open());
        let count = assert_only_gaps(&whole, &items, &lost);
        assert!(count > 0 && count < whole.len(), "{count}");
        let told: Vec<u32> = lost.iter().flat_map(|gap| gap.pieces.clone()).collect();
        assert_eq!(told, pieces.iter().map(|piece| *piece as u32).collect::<Vec<_>>());
        assert!(lost.iter().all(|gap| gap.of as usize == ids.len() && gap.cause.is_damage()));

        let repo = bench.repo();
        let args = ["check", "--repair", "--verify-data", repo.to_str().unwrap()];
        let mut check = bench.command(bench.dir.path(), &args);
        check.env("BORG_CHECK_I_KNOW_WHAT_I_AM_DOING", "YES").output().unwrap();
        let target = format!("{}::a", bench.repo().display());
        let listed = bench.try_borg_in(bench.dir.path(), &["list", "--format", "{path}{NUL}", &target]);
        let said = String::from_utf8_lossy(&listed.stderr);
        // By chance its repair takes the middle of an item for a whole one, which lacks what items have: it lists as far as that.
        let is_cut_short = said.contains("AttributeError: attribute");
        assert!(listed.status.success() != is_cut_short, "{said}");
        let left: Vec<_> = listed.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty()).collect();
        let read = paths(&items);
        let read = if is_cut_short { &read[..left.len()] } else { &read[..] };
        assert_eq!(read, left, "{encryption} {pieces:?}");
    }
}

#[test]
fn every_use_of_an_archive_with_a_gap_goes_on_and_tells() {
    let bench = prepared("repokey");
    let ids = metadata(&bench);
    let (whole, _) = read(&bench.open());
    flip(&bench, ids[1]);
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let (items, lost) = read(&repository);
    assert_only_gaps(&whole, &items, &lost);

    // Of files whose first name is lost, the others cannot be made.
    let known: BTreeSet<_> = items.iter().map(|item| &item.path).collect();
    let orphans: Vec<_> = items
        .iter()
        .filter(|item| item.hard_link_target().is_some_and(|first| !known.contains(&first.to_vec())))
        .collect();
    assert!(!orphans.is_empty());
    let out = bench.empty("out");
    let everything = Extraction::everything();
    let report = archive.extract(&everything, &out, &Unobserved).unwrap();
    let expected = |report: &reprise_borg::Report| {
        let gaps = report.problems.iter().filter(|problem| matches!(problem.kind, ProblemKind::Items(_)));
        let links =
            report.problems.iter().filter(|problem| matches!(problem.kind, ProblemKind::HardLink { .. }));
        assert_eq!((gaps.count(), links.count()), (1, orphans.len()));
        assert_eq!(report.problems.len(), 1 + orphans.len());
        // Everything that a restore fails on.
        assert_eq!(report.losses().count(), report.problems.len());
        assert_eq!(report.items as usize, items.len() - orphans.len());
    };
    expected(&report);
    // A directory whose item is lost is made all the same, for what lies in it.
    let made = common::snapshot(&out).values().filter(|facts| facts.starts_with("mode 10")).count();
    let files = items.iter().filter(|item| item.kind() == Kind::File).count();
    assert_eq!(made, files - orphans.len());

    let mut tar = Vec::new();
    expected(&archive.export_tar(&everything, &mut tar, &Unobserved).unwrap());
    expected(&archive.check(&everything, &Unobserved).unwrap());
    let changed = Options { only_changed: true, ..Options::default() };
    let report = archive.extract(&everything.with(changed), &out, &Unobserved).unwrap();
    assert_eq!(report.unchanged as usize, items.len() - orphans.len());
    assert!(report.losses().count() > 1);

    let cache = bench.path("cache");
    for _ in 0..2 {
        let catalogue = archive.catalogue(Some(&cache), &Unobserved).unwrap();
        assert_eq!((catalogue.len(), catalogue.lost().len()), (items.len(), 1));
        let node = catalogue.find(&items.last().unwrap().path).unwrap();
        assert_eq!(catalogue.item(&repository, node).unwrap().path, items.last().unwrap().path);
    }

    // A single item is found on either side; of one that is not, nobody knows whether it is lost.
    let second = items.iter().rfind(|item| item.hard_link_target().is_none());
    for item in [items.first().unwrap(), second.unwrap()] {
        assert_eq!(archive.find(&item.path).unwrap().path, item.path);
    }
    let gone = whole.iter().find(|item| !known.contains(&item.path)).unwrap();
    assert!(matches!(archive.find(&gone.path), Err(Error::ItemsLost(_))));
    // Sizes of what is not known are not made up.
    assert!(matches!(archive.directories(1, &Unobserved), Err(Error::ItemsLost(_))));

    let found = repository.verify(&Unobserved).unwrap();
    assert!(!found.is_sound());
    let told = found.damage.iter().find_map(|damage| match damage {
        Damage::Archive { archive, cause } => Some((archive.as_str(), &**cause)),
        _ => None,
    });
    assert!(matches!(told, Some(("a", Error::ItemsLost(_)))), "{:?}", found.damage);
    let files = items.iter().filter(|item| item.chunks.is_some()).count();
    assert_eq!((found.archives[0].files, found.archives[0].whole_files), (files as u64, files as u64));
    assert!(!found.archives[0].is_whole());
}

/// Numbers that look random and are the same each time.
fn dice(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

#[test]
fn whatever_is_lost_all_items_that_lie_in_what_is_left_are_read_and_no_others() {
    let mut state = 0x1234_5678_9abc_def1;
    for round in 0..150 {
        let bench = Bench::new();
        let mut stream = Vec::new();
        let mut ends = Vec::new();
        for number in 0..=dice(&mut state, 40) {
            let mut further = Vec::new();
            if dice(&mut state, 3) == 0 {
                let value = vec![b'v'; dice(&mut state, 300) as usize];
                further.push(("xattrs", Value::Named(vec![(b"user.x".to_vec(), Value::Bytes(value))])));
            }
            if dice(&mut state, 4) == 0 {
                let chunk = || forge::chunk([7; 32], 5);
                let count = dice(&mut state, 30);
                further.push(("chunks", Value::List((0..count).map(|_| chunk()).collect())));
            }
            if dice(&mut state, 5) == 0 {
                further.push(("user", bytes("somebody")));
            }
            pack(&forge::item(format!("file-{number}"), FILE, &further), &mut stream);
            ends.push(stream.len());
        }
        let mut forge = Forge::new();
        let (mut ids, mut intact, mut at) = (Vec::new(), Vec::new(), 0);
        while at < stream.len() {
            let end = stream.len().min(at + 1 + dice(&mut state, 900) as usize);
            let piece = &stream[at..end];
            if dice(&mut state, 4) == 0 {
                ids.push(id_of(piece));
            } else {
                ids.push(forge.chunk(piece));
                intact.push(at..end);
            }
            at = end;
        }
        forge.finish_pieces(&bench.repo(), &ids, &[]);
        let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
        for piece in intact {
            match runs.last_mut() {
                Some(run) if run.end == piece.start => run.end = piece.end,
                _ => runs.push(piece),
            }
        }
        let mut start = 0;
        let mut expected = Vec::new();
        for (number, end) in ends.iter().enumerate() {
            if runs.iter().any(|run| run.start <= start && *end <= run.end) {
                expected.push(format!("file-{number}").into_bytes());
            }
            start = *end;
        }
        let (items, lost) = read(&bench.open());
        assert_eq!(paths(&items), expected, "round {round}");
        let all_lost = ids.len() - lost.iter().map(|gap| gap.pieces.len()).sum::<usize>();
        assert!(
            all_lost <= ids.len() && lost.is_empty() == (runs.len() == 1 && runs[0] == (0..stream.len()))
        );
    }
}

#[test]
fn an_archive_all_of_whose_metadata_is_lost_has_no_items_and_says_so() {
    let bench = Bench::new();
    let mut forge = Forge::new();
    forge.finish_pieces(&bench.repo(), &[[1; 32], [2; 32]], &[]);
    let (items, lost) = read(&bench.open());
    assert!(items.is_empty());
    let [gap] = lost.as_slice() else { panic!("{lost:?}") };
    assert_eq!((gap.pieces.clone(), gap.of, &gap.after, &gap.before), (0..2, 2, &None, &None));
    assert!(gap.to_string().starts_with("pieces 1 to 2 of 2 "), "{gap}");
}

#[test]
fn halves_of_two_items_are_never_made_into_one() {
    // Cut so that joining what is left would read as one item: the head of one, the end of the other.
    let bench = Bench::new();
    let packed = |path: &str| {
        let mut out = Vec::new();
        pack(&forge::item(path, FILE, &[]), &mut out);
        out
    };
    let (one, two, three) = (packed("one"), packed("two"), packed("three"));
    let middle = one.len() / 2;
    let mut forge = Forge::new();
    let lost = [&one[middle..], &two[..middle]].concat();
    let ids = [forge.chunk(&one[..middle]), id_of(&lost), forge.chunk(&[&two[middle..], &three].concat())];
    forge.finish_pieces(&bench.repo(), &ids, &[]);
    let (items, lost) = read(&bench.open());
    assert_eq!(paths(&items), [b"three".to_vec()]);
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].cut as usize, middle + two.len() - middle);
}
