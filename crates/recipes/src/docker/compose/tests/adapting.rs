//! Adapting whole files.

use super::super::{AdaptNote, Adaptation, ComposeError, NameOrigin, Relocation, adapt, read};
use super::{auto, changed, notes, relocation};

#[test]
fn every_kind_of_mount_is_found_again() {
    let text = "\
services:
  web:
    volumes:
      - data:/var/lib/shop          # named
      - 'data:/single:ro'
      - \"data:/double:nocopy,z\" # \u{e9}t\u{e9} \u{2192} quoted
      - ./conf:/etc/shop:ro
      - ./uploads:/uploads
      - /opt/shop/static:/static
      - /srv/media/photos/:/photos
      - /etc/localtime:/etc/localtime:ro
      - other:/other
      - /anonymous
      - type: volume
        source: pg
        target: /pg
        volume: {subpath: main/db}
      - {target: /m, source: '/srv/media', type: bind}
      - >- # folded
        data:/folded
      # between
      - &anchored |-   # literal
        /srv/media:/literal
      - *anchored
      - &quoted \"data:/anchored\" # with \"comment\"
      - !!str data:/tagged#x # tag
      - !!str
        # odd
        &both 'data:/it''s'
volumes: {data: , other: , pg: {external: true, name: legacy-pg}}
";
    insta::assert_snapshot!(changed(text), @r#"
-      - data:/var/lib/shop          # named
-      - 'data:/single:ro'
-      - "data:/double:nocopy,z" # été → quoted
+      - /opt/restore/volumes/shop_data:/var/lib/shop          # named
+      - '/opt/restore/volumes/shop_data:/single:ro'
+      - "/opt/restore/volumes/shop_data:/double:z" # été → quoted
-      - ./uploads:/uploads
-      - /opt/shop/static:/static
-      - /srv/media/photos/:/photos
+      - /opt/restore/configs/uploads:/uploads
+      - /opt/restore/compose/shop/static:/static
+      - /opt/restore/configs/srv/media/photos:/photos
-      - type: volume
-        source: pg
+      - type: bind
+        source: /opt/restore/volumes/legacy-pg/main/db
-      - {target: /m, source: '/srv/media', type: bind}
+      - {target: /m, source: '/opt/restore/configs/srv/media', type: bind}
-        data:/folded
+        /opt/restore/volumes/shop_data:/folded
-        /srv/media:/literal
+        /opt/restore/configs/srv/media:/literal
-      - &quoted "data:/anchored" # with "comment"
-      - !!str data:/tagged#x # tag
+      - &quoted "/opt/restore/volumes/shop_data:/anchored" # with "comment"
+      - !!str "/opt/restore/volumes/shop_data:/tagged#x" # tag
-        &both 'data:/it''s'
+        &both '/opt/restore/volumes/shop_data:/it''s'
"#);
    insta::assert_snapshot!(notes(text), @r#"
{"kind":"project_name_kept","name":"shop","origin":"directory"}
{"kind":"volume_not_restored","volume":"other","name":"shop_other","shared":true}
{"kind":"external_volume_unused","volume":"pg","name":"legacy-pg"}
{"kind":"host_path_kept","place":"services.web.volumes","path":"/etc/localtime","read_only":true}
"#);
}

#[test]
fn paths_outside_of_volumes_are_found_again() {
    let text = "\
include: [/opt/shop/extra.yml, ../other/compose.yml, 'https://example.com/x.git']
services:
  web:
    build: /opt/shop/web
    env_file: [/srv/media/web.env, ./.env, ../shared.env]
    extends: {file: /opt/shop/base.yml, service: web}
  api:
    build: {context: 'https://github.com/x/y.git'}
    env_file: /opt/shop/uploads/api.env
volumes:
  disguised: {driver: local, driver_opts: {type: none, o: 'bind,rw', device: /srv/media/v}}
  nfs: {driver_opts: {type: nfs, o: addr=nas, device: ':/srv/media'}}
configs: {a: {file: /srv/media/a.conf}}
secrets: {b: {file: ./b.txt}}
";
    insta::assert_snapshot!(changed(text), @r#"
-include: [/opt/shop/extra.yml, ../other/compose.yml, 'https://example.com/x.git']
+include: [/opt/restore/compose/shop/extra.yml, ../other/compose.yml, 'https://example.com/x.git']
-    build: /opt/shop/web
-    env_file: [/srv/media/web.env, ./.env, ../shared.env]
-    extends: {file: /opt/shop/base.yml, service: web}
+    build: /opt/restore/compose/shop/web
+    env_file: [/opt/restore/configs/srv/media/web.env, ./.env, ../shared.env]
+    extends: {file: /opt/restore/compose/shop/base.yml, service: web}
-    env_file: /opt/shop/uploads/api.env
+    env_file: /opt/restore/configs/uploads/api.env
-  disguised: {driver: local, driver_opts: {type: none, o: 'bind,rw', device: /srv/media/v}}
+  disguised: {driver: local, driver_opts: {type: none, o: 'bind,rw', device: /opt/restore/configs/srv/media/v}}
-configs: {a: {file: /srv/media/a.conf}}
+configs: {a: {file: /opt/restore/configs/srv/media/a.conf}}
"#);
    insta::assert_snapshot!(notes(text), @r#"
{"kind":"project_name_kept","name":"shop","origin":"directory"}
{"kind":"volume_not_restored","volume":"nfs","name":"shop_nfs","shared":true}
{"kind":"relative_path_outside_project","place":"services.web.env_file","path":"../shared.env","original":"/opt/shared.env"}
{"kind":"other_compose_file","path":"/opt/shop/base.yml"}
{"kind":"other_compose_file","path":"/opt/shop/extra.yml"}
{"kind":"other_compose_file","path":"/opt/other/compose.yml"}
{"kind":"relative_path_outside_project","place":"include","path":"../other/compose.yml","original":"/opt/other/compose.yml"}
"#);
}

#[test]
fn line_ends_and_everything_else_survive() {
    let text = "# \u{2192} shop\r\nservices:\r\n  web: # \u{e9}\r\n    volumes: [ data:/a , './x:/b', \"/srv/media:/c\" ]   # \u{1F600}\r\n\r\n# the end\r\nvolumes: {data: }";
    let adapted = auto(text, &relocation()).unwrap();
    let expected = text
        .replace(" data:/a ,", " /opt/restore/volumes/shop_data:/a ,")
        .replace("/srv/media:", "/opt/restore/configs/srv/media:");
    assert_eq!(adapted.text(), expected);
    assert_eq!(adapted.changes.len(), 2);
    assert_eq!((adapted.changes[0].line, adapted.changes[0].before.as_str()), (4, "data:/a"));
}

#[test]
fn a_byte_order_mark_survives() {
    let text = "\u{feff}services:\n  web:\n    volumes: ['data:/a']\n";
    let adapted = auto(text, &relocation()).unwrap();
    assert_eq!(adapted.text(), text.replace("data:/a", "/opt/restore/volumes/shop_data:/a"));
}

#[test]
fn new_paths_with_odd_characters() {
    let text = "services:\n  web:\n    volumes:\n      - data:/a:ro,Z,rslave\n      - 'data:/b'\n      - {type: volume, source: data, target: /c}\n";
    let to = |path: &str| {
        let mut relocation = relocation();
        relocation.volumes.insert("shop_data".into(), path.into());
        let adapted = auto(text, &relocation).unwrap();
        adapted.text().lines().skip(3).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(to("/r/it's \"$HOME\" #1"), @r#"
- "/r/it's \"$$HOME\" #1:/a:ro,Z,rslave"
- '/r/it''s "$$HOME" #1:/b'
- {type: bind, source: "/r/it's \"$$HOME\" #1", target: /c}
"#);
    insta::assert_snapshot!(to("/r/12:30"), @r#"
- {type: bind, source: "/r/12:30", target: "/a", read_only: true, bind: {selinux: "Z", propagation: rslave}}
- {type: bind, source: "/r/12:30", target: "/b"}
- {type: bind, source: /r/12:30, target: /c}
"#);
    insta::assert_snapshot!(to("/r/${x}"), @r#"
- {type: bind, source: "/r/$${x}", target: "/a", read_only: true, bind: {selinux: "Z", propagation: rslave}}
- {type: bind, source: "/r/$${x}", target: "/b"}
- {type: bind, source: "/r/$${x}", target: /c}
"#);
    insta::assert_snapshot!(to("/r/tab\there\\\u{85}é"), @r#"
- "/r/tab\there\\\u0085é:/a:ro,Z,rslave"
- "/r/tab\there\\\u0085é:/b"
- {type: bind, source: "/r/tab\there\\\u0085é", target: /c}
"#);
}

#[test]
fn variables_are_looked_through() {
    let text = "\
services:
  web:
    volumes:
      - ${MEDIA}/a:/a
      - ${MEDIA:?set}:/b:${MODE}
      - $PROJECT/c:/c
      - ${UNKNOWN}/d:/d
      - ${UNKNOWN:-/srv/media}/e:${TARGET}
      - ${LOCAL}:/f
      - ${VOLUME}:/g
      - ${WHOLE}
      - ./price$$:/h
      - /srv/media/$$x:/i
";
    let dot_env = "MEDIA=/srv/media\nPROJECT=/opt/shop\nLOCAL=./local\nVOLUME=data\nWHOLE=data:/whole:ro";
    let relocation = Relocation { dot_env: Some(dot_env.into()), ..relocation() };
    let adapted = auto(text, &relocation).unwrap();
    insta::assert_snapshot!(adapted.text(), @r#"
services:
  web:
    volumes:
      - /opt/restore/configs/srv/media/a:/a
      - /opt/restore/configs/srv/media:/b:${MODE}
      - /opt/restore/compose/shop/c:/c
      - ${UNKNOWN}/d:/d
      - /opt/restore/configs/srv/media/e:${TARGET}
      - ${LOCAL}:/f
      - /opt/restore/volumes/shop_data:/g
      - /opt/restore/volumes/shop_data:/whole:ro
      - ./price$$:/h
      - /opt/restore/configs/srv/media/$$x:/i
"#);
    assert!(adapted.notes.contains(&AdaptNote::UnresolvedVariable {
        place: "services.web.volumes".into(),
        text: "${UNKNOWN}/d".into(),
        variables: vec!["UNKNOWN".into()],
    }));
}

#[test]
fn what_collides_is_reported_and_left() {
    let text = "\
services:
  web:
    container_name: web
    ports: ['80:80', '127.0.0.1:443:443/udp', 9000]
    networks: [proxy, lan]
  dns: {network_mode: host}
networks:
  proxy: {external: true}
  lan: {name: lan, ipam: {config: [{subnet: 10.0.0.0/24}]}}
";
    let adapted = auto(text, &relocation()).unwrap();
    assert_eq!(adapted.text(), text);
    insta::assert_snapshot!(notes(text), @r#"
{"kind":"project_name_kept","name":"shop","origin":"directory"}
{"kind":"container_name_kept","service":"web","name":"web"}
{"kind":"port_kept","service":"web","host_ip":null,"published":"80","protocol":"tcp"}
{"kind":"port_kept","service":"web","host_ip":"127.0.0.1","published":"443","protocol":"udp"}
{"kind":"host_network_kept","service":"dns"}
{"kind":"external_network","network":"proxy","name":"proxy"}
{"kind":"network_name_kept","network":"lan","name":"lan"}
{"kind":"subnet_kept","network":"lan","subnet":"10.0.0.0/24"}
"#);
}

#[test]
fn project_names_are_compared() {
    let same = |text: &str, relocation: &Relocation| {
        auto(text, relocation).unwrap().notes.into_iter().find_map(|note| match note {
            AdaptNote::ProjectNameKept { name, origin } => Some((name, origin)),
            _ => None,
        })
    };
    let directory = relocation();
    assert_eq!(same("services: {}", &directory), Some(("shop".into(), NameOrigin::Directory)));
    let elsewhere = Relocation { to_project_dir: "/opt/restore/compose/shop-2".into(), ..directory.clone() };
    assert_eq!(same("services: {}", &elsewhere), None);
    assert_eq!(same("name: x\nservices: {}", &elsewhere), Some(("x".into(), NameOrigin::NameKey)));
    let labelled = Relocation { project: Some("other".into()), ..directory };
    assert_eq!(same("services: {}", &labelled), None);
}

#[test]
fn the_original_s_name_decides_which_volume_is_meant() {
    let text = "services: {web: {volumes: ['data:/a', 'x:/x']}}\nvolumes: {data: {}, x: {external: true, name: data}}\n";
    let mut relocation = relocation();
    relocation.project = Some("prod".into());
    // Neither `prod_data` nor the external `data` was restored.
    assert_eq!(auto(text, &relocation).unwrap().text(), text);
    // `data` is the real name of `x`, and must not be taken for the key `data`.
    relocation.volumes.insert("data".into(), "/r/data".into());
    assert_eq!(auto(text, &relocation).unwrap().text(), text.replace("x:/x", "/r/data:/x"));
    relocation.volumes.insert("prod_data".into(), "/r/prod".into());
    assert!(auto(text, &relocation).unwrap().text().contains("/r/prod:/a"));
    // By key, where nothing else has that name.
    let text = "services: {web: {volumes: ['data:/a']}}\n";
    relocation.volumes.remove("prod_data");
    assert!(auto(text, &relocation).unwrap().text().contains("/r/data:/a"));
}

#[test]
fn the_three_adaptations() {
    let text = "services: {web: {volumes: ['data:/a'], container_name: web}}\n";
    let run = |adaptation| adapt("compose.yaml", text, adaptation, &relocation()).unwrap();
    let none = run(Adaptation::None);
    assert_eq!((none.files.len(), none.text(), none.changes.len()), (1, text, 0));
    assert!(none.notes.contains(&AdaptNote::ContainerNameKept { service: "web".into(), name: "web".into() }));
    let auto = run(Adaptation::AutoModify);
    assert_eq!((auto.files.len(), auto.files[0].name.as_str()), (1, "compose.yaml"));
    let new = run(Adaptation::GenerateNew);
    assert_eq!(new.files[0], auto.files[0]);
    assert_eq!((new.files[1].name.as_str(), new.files[1].text.as_str()), ("compose.yaml.original", text));
}

#[test]
fn a_broken_file_is_only_adapted_with_none() {
    let text = "services: {web: [}";
    let none = adapt("x.yml", text, Adaptation::None, &relocation()).unwrap();
    assert_eq!((none.text(), none.notes.len()), (text, 0));
    assert!(matches!(auto(text, &relocation()), Err(ComposeError::Syntax { line: 1, .. })));
}

#[test]
fn locations_must_be_absolute() {
    let relocation = Relocation { to_project_dir: "restore".into(), ..relocation() };
    let error = auto("services: {}", &relocation).unwrap_err();
    assert_eq!(error, ComposeError::RelativeLocation { path: "restore".into() });
}

#[test]
fn relative_paths_that_mean_the_same_stay() {
    let text = "services: {web: {volumes: ['../shop/conf:/a', '../media:/b', './uploads/x:/c']}}\n";
    let mut relocation = relocation();
    relocation.paths.insert("/opt/media".into(), "/opt/restore/compose/media".into());
    let adapted = auto(text, &relocation).unwrap();
    assert_eq!(adapted.text(), text.replace("./uploads/x", "/opt/restore/configs/uploads/x"));
    relocation.to_project_dir = "/elsewhere/renamed".into();
    let adapted = auto(text, &relocation).unwrap();
    assert!(adapted.text().contains("'/elsewhere/renamed/conf:/a', '/opt/restore/compose/media:/b'"));
}

#[test]
fn the_legacy_format_is_adapted() {
    let text = "web:\n  image: nginx\n  volumes:\n    - shop_data:/a\n    - /srv/media:/b\n";
    let adapted = auto(text, &relocation()).unwrap();
    assert_eq!(
        adapted.text(),
        text.replace("shop_data:", "/opt/restore/volumes/shop_data:")
            .replace("/srv/media:", "/opt/restore/configs/srv/media:")
    );
    assert!(read(adapted.text()).is_ok());
}
