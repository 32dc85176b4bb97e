//! The recipe on made-up facts: what is planned, in which order, and what is warned of.

mod analysing;
mod checking;
mod mirroring;
mod planning;
mod remaking;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use reprise_engine::{Plan, SourceRef};
use reprise_host::{Container, Engine, FileKind, Inode, Mount, Space, Stat, Volume};
use reprise_model::{
    Adaptation, Choice, Contents, Destination, Item, ItemKind, Lang, Manner, Message, Origin, Protect,
    RestoreType, Selection, known_keys,
};

use super::compose::Condition;
use super::{Binds, Facts, HealthChoice, Making, Request, Site, plan};

const GIB: u64 = 1 << 30;

/// The shop: a database on a volume, a web server on its project directory, the one waiting for the other.
struct Shop {
    contents: Contents,
    choice: Choice,
    facts: Facts,
    reserved: Vec<(PathBuf, Message)>,
}

fn item(kind: ItemKind, name: &str, path: &str) -> Item {
    Item {
        kind,
        name: name.into(),
        path: path.into(),
        bytes: 64 << 20,
        entries: 1000,
        compose_file: (kind == ItemKind::Project).then(|| "compose.yaml".into()),
        project: (kind == ItemKind::Volume).then(|| "shop".into()),
        volume_key: (kind == ItemKind::Volume).then(|| "db".into()),
    }
}

fn directory() -> Stat {
    Stat {
        kind: FileKind::Directory,
        inode: Inode { number: 7, born: 0 },
        device: 1,
        owner: 0,
        size: 0,
        modified: 0,
    }
}

fn site(item: &Item, target: &str) -> Site {
    Site {
        item: item.clone(),
        target: PathBuf::from(target),
        present: Some(directory()),
        volume: None,
        missing: Vec::new(),
        obstacle: None,
        foreign_link: None,
        mounts: Vec::new(),
        stores: Vec::new(),
        is_shared: false,
        outside: None,
        flagged: None,
        nested: None,
        under: None,
        tight: None,
        space: Space { device: 1, free_bytes: 100 * GIB, free_inodes: u64::MAX },
    }
}

/// What is found, and what to do about it, is told in each language.
fn expect_words(plan: &Plan) {
    let told = plan.findings.iter().flat_map(|it| [Some(&it.message), it.advice.as_ref()]).flatten();
    for message in told.chain(&plan.protections) {
        for lang in [Lang::En, Lang::Fr] {
            assert!(known_keys(lang).contains(&message.key()), "`{}` has no words", message.key());
        }
    }
}

fn container(name: &str, service: &str, source: &str) -> Container {
    let label = |key: &str, value: &str| (format!("com.docker.compose.{key}"), value.to_owned());
    Container {
        id: format!("id-{name}"),
        name: name.into(),
        image: "image".into(),
        running: true,
        mounts: vec![Mount {
            volume: None,
            source: source.into(),
            destination: "/data".into(),
            writable: true,
        }],
        labels: BTreeMap::from([label("project", "shop"), label("service", service)]),
        ..Container::default()
    }
}

impl Shop {
    fn new() -> Self {
        let volume = item(ItemKind::Volume, "shop_db", "var/lib/docker/volumes/shop_db/_data");
        let project = item(ItemKind::Project, "shop", "srv/shop");
        let data = "/var/lib/docker/volumes/shop_db/_data";
        let mut volume_site = site(&volume, data);
        volume_site.volume = Some(Volume {
            name: "shop_db".into(),
            driver: "local".into(),
            mountpoint: data.into(),
            options: BTreeMap::new(),
        });
        let sites = vec![volume_site, site(&project, "/srv/shop")];
        Self {
            reserved: Vec::new(),
            contents: Contents {
                archive: "nightly".into(),
                origin: Origin::Paths,
                record: None,
                items: vec![volume, project],
                bytes: 1,
                entries: 1,
                findings: Vec::new(),
            },
            choice: Choice {
                restore_type: RestoreType::Full,
                items: Vec::new(),
                destination: Destination::InPlace,
                adaptation: Adaptation::None,
                restart: true,
                manner: Manner::default(),
                protect: Protect::default(),
                backup_before: false,
            },
            facts: Facts {
                host: "localhost".into(),
                compose: None,
                engine: Some(Ok(Engine {
                    version: "20.10".into(),
                    root: "/var/lib/docker".into(),
                    endpoint: String::new(),
                })),
                borg: None,
                archiving: None,
                sees_attributes: true,
                containers: vec![
                    container("shop_web_1", "web", "/srv/shop/site"),
                    container("shop_db_1", "db", data),
                    container("other_1", "other", "/srv/other"),
                ],
                dependencies: BTreeMap::from([(
                    "shop_web_1".to_owned(),
                    vec![("shop_db_1".to_owned(), Condition::ServiceHealthy)],
                )]),
                sites,
                binds: Binds::default(),
                making: Making::default(),
                texts: crate::docker::Texts::default(),
            },
        }
    }

    /// The same to another place.
    fn elsewhere(adaptation: Adaptation) -> Self {
        let mut shop = Self::new();
        shop.choice.destination = Destination::Directory("/opt/restored".into());
        shop.choice.adaptation = adaptation;
        shop.facts.engine = None;
        shop.facts.containers.clear();
        for (site, place) in shop.facts.sites.iter_mut().zip(["volumes/shop_db", "compose/shop"]) {
            site.target = Path::new("/opt/restored").join(place);
            site.present = None;
            site.volume = None;
            let parent = site.target.parent().map(Path::to_owned);
            site.missing = [Some(PathBuf::from("/opt/restored")), parent].into_iter().flatten().collect();
        }
        shop
    }

    fn plan(&self) -> Plan {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        let source = SourceRef {
            kind: "borg".into(),
            repository: "/backup/borg".into(),
            archive: "nightly".into(),
            id: "ab".repeat(32),
            time: "2026-11-21T01:00:00Z".into(),
        };
        let selection = Selection::new(&self.contents, &self.choice).unwrap();
        let request = Request {
            id: &"20261121-030000-test".parse().unwrap(),
            now,
            source: &source,
            contents: &self.contents,
            choice: &self.choice,
            selection: &selection,
            age_seconds: Some(7200),
            reserved: &self.reserved,
            limit_seconds: None,
            health: HealthChoice::default(),
            remarks: &[],
        };
        let plan = plan(&request, &self.facts);
        expect_words(&plan);
        plan
    }

    fn steps(&self) -> Vec<String> {
        self.plan().steps.iter().map(|step| step.change.describe().in_lang(Lang::En)).collect()
    }

    /// The codes of what the checks find, the worst first.
    fn codes(&self) -> Vec<String> {
        self.plan().findings.iter().map(|finding| finding.code().to_owned()).collect()
    }
}
