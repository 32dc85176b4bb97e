//! Values written once and used in several places.

use super::super::ComposeError;
use super::{auto, changed, relocation};

#[test]
fn a_shared_list_is_edited_where_it_is_written() {
    let text = "\
x-app: &app
  image: shop
  volumes: &vols
    - data:/data   # everywhere
    - ./conf:/conf
services:
  web: {<<: *app}
  api:
    <<: *app
    command: api
  job:
    image: job
    volumes: *vols
";
    insta::assert_snapshot!(changed(text), @r#"
-    - data:/data   # everywhere
+    - /opt/restore/volumes/shop_data:/data   # everywhere
"#);
}

#[test]
fn a_shared_entry_and_a_shared_path() {
    let text = "\
x-media: &media /srv/media
services:
  web:
    volumes:
      - &data data:/data
      - type: bind
        source: *media
        target: /media
  api:
    volumes: [*data, &long {type: volume, source: data, target: /x}]
  job:
    volumes: [*long, *data]
";
    insta::assert_snapshot!(changed(text), @r#"
-x-media: &media /srv/media
+x-media: &media /opt/restore/configs/srv/media
-      - &data data:/data
+      - &data /opt/restore/volumes/shop_data:/data
-    volumes: [*data, &long {type: volume, source: data, target: /x}]
+    volumes: [*data, &long {type: bind, source: /opt/restore/volumes/shop_data, target: /x}]
"#);
}

#[test]
fn an_alias_that_also_means_something_else_is_written_out() {
    let text = "\
x-media: &media /srv/media
services:
  web:
    environment:
      MEDIA: *media
    volumes:
      - {type: bind, source: *media, target: /media}
";
    insta::assert_snapshot!(changed(text), @r#"
-      - {type: bind, source: *media, target: /media}
+      - {type: bind, source: /opt/restore/configs/srv/media, target: /media}
"#);
}

#[test]
fn an_anchor_that_also_means_something_else_is_refused() {
    let text = "\
services:
  web:
    volumes:
      - {type: bind, source: &media /srv/media, target: /media}
    environment: {MEDIA: *media}
";
    let error = auto(text, &relocation()).unwrap_err();
    assert_eq!(error, ComposeError::SharedValue { line: 4, value: "/srv/media".into() });
}

#[test]
fn an_overridden_part_does_not_count() {
    let text = "\
services:
  base: &base
    image: shop
    volumes: ['data:/data']
  other:
    <<: *base
    volumes: ['/srv/media:/m']
";
    insta::assert_snapshot!(changed(text), @r#"
-    volumes: ['data:/data']
+    volumes: ['/opt/restore/volumes/shop_data:/data']
-    volumes: ['/srv/media:/m']
+    volumes: ['/opt/restore/configs/srv/media:/m']
"#);
}

#[test]
fn a_type_shared_by_a_kept_volume_is_refused() {
    let text = "\
x-v: &v {type: volume, target: /x}
services:
  a: {volumes: [{<<: *v, source: data}]}
  b: {volumes: [{<<: *v, source: other}]}
";
    assert!(matches!(auto(text, &relocation()), Err(ComposeError::SharedValue { line: 1, .. })));
}

#[test]
fn a_shared_entry_in_long_form_when_the_path_needs_it() {
    let text = "services:\n  a: {volumes: [&d 'data:/d:ro']}\n  b:\n    volumes:\n      - *d\n";
    let mut relocation = relocation();
    relocation.volumes.insert("shop_data".into(), "/r/1:2".into());
    let adapted = auto(text, &relocation).unwrap();
    let long = r#"&d {type: bind, source: "/r/1:2", target: "/d", read_only: true}"#;
    assert_eq!(adapted.text(), text.replace("&d 'data:/d:ro'", long));
}
