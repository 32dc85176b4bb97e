//! Reading whole files.

use super::super::{
    ComposeError, Condition, FileFormat, Interpolated, MountKind, Variables, project_volumes, read, read_with,
};
use super::order_of;

const SHOP: &str = r#"# Online shop; do not edit on the server!
version: "3.8"
name: ${STACK:-shop}

x-common: &common
  restart: unless-stopped
  env_file: [.env, {path: ./secrets.env, required: false}]
  networks: [back]

include:
  - ./monitoring/compose.yaml
  - path: [a.yml, b.yml]

services:
  web:
    <<: *common
    image: "nginx:${TAG}"   # pinned
    container_name: shop-web
    depends_on:
      api: {condition: service_healthy, restart: true}
      cache:
        condition: service_started
        required: false
    ports:
      - "127.0.0.1:8080:80"
      - target: 443
        published: "8443"
        protocol: tcp
      - 9000
    volumes:
      - ./nginx.conf:/etc/nginx/nginx.conf:ro
      - type: bind
        source: /srv/media
        target: /media
        read_only: yes
      - type: tmpfs
        target: /tmp
  api:
    <<: *common
    build: {context: ./api, dockerfile: Dockerfile}
    networks: {back: {aliases: [api]}, front: }
    links: ["db:database"]
    healthcheck: {test: [CMD, curl, -f, http://localhost]}
    profiles: [full]
    volumes:
      - data:/var/lib/api
      - type: volume
        source: cache
        target: /cache
        volume: {subpath: api}
  cache: {image: "redis:7", network_mode: "service:web", healthcheck: {disable: true, test: [CMD, x]}}
  db:
    extends: {file: common.yml, service: postgres}
    volumes: [pg:/var/lib/postgresql/data]
    volumes_from: [cache:ro, "container:other"]
  worker: {extends: api, command: work}

volumes:
  data:
  cache: {driver: local, driver_opts: {type: nfs, o: "addr=10.0.0.1,rw", device: ":/cache"}, labels: [a=b, c]}
  pg:
    external: {name: legacy-pg}
  spare: {external: true}
  named: {name: "fixed-${STACK:-shop}"}
networks:
  front: {external: true, name: proxy}
  back:
    ipam: {config: [{subnet: 10.5.0.0/24}]}
configs:
  conf: {file: ./conf.json}
secrets:
  key: {environment: SECRET_KEY}
  old: {external: true, name: prod_old}
unknown_section: [1, 2, {3: 4}]
"#;

#[test]
fn a_whole_file_is_read() {
    let file = read(SHOP).unwrap();
    assert_eq!(file.format, FileFormat::Spec);
    assert_eq!(file.name.as_ref().unwrap().known(), Some("shop"));
    assert_eq!(file.services.keys().collect::<Vec<_>>(), ["web", "api", "cache", "db", "worker"]);
    assert_eq!(
        file.includes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["./monitoring/compose.yaml", "a.yml", "b.yml"]
    );

    let web = &file.services["web"];
    let image = web.image.as_ref().unwrap();
    assert_eq!(
        (image.known(), image.text(), image.unresolved()),
        (None, "nginx:${TAG}", &["TAG".to_owned()][..])
    );
    assert_eq!(web.container_name.as_ref().unwrap().known(), Some("shop-web"));
    assert_eq!(
        web.depends_on.iter().map(|d| (d.service.as_str(), d.condition, d.required)).collect::<Vec<_>>(),
        [("api", Condition::ServiceHealthy, true), ("cache", Condition::ServiceStarted, false)]
    );
    assert_eq!(
        web.env_files.iter().map(|f| (f.path.text(), f.required)).collect::<Vec<_>>(),
        [(".env", true), ("./secrets.env", false)]
    );
    assert_eq!(web.networks, ["back"]);
    let mounts: Vec<_> = web
        .volumes
        .iter()
        .map(|m| (m.kind, m.source.as_ref().map(Interpolated::text), m.target.text(), m.read_only, m.line))
        .collect();
    assert_eq!(
        mounts,
        [
            (MountKind::Bind, Some("./nginx.conf"), "/etc/nginx/nginx.conf", true, 31),
            (MountKind::Bind, Some("/srv/media"), "/media", true, 32),
            (MountKind::Tmpfs, None, "/tmp", false, 36),
        ]
    );
    let ports: Vec<_> = web
        .ports
        .iter()
        .map(|p| (p.published.as_ref().map(Interpolated::text), p.target.text(), p.protocol.as_deref()))
        .collect();
    assert_eq!(ports, [(Some("8080"), "80", None), (Some("8443"), "443", Some("tcp")), (None, "9000", None)]);

    let api = &file.services["api"];
    assert_eq!(api.build_context.as_ref().unwrap().known(), Some("./api"));
    assert_eq!(api.networks, ["back", "front"]);
    assert!(api.has_healthcheck && !file.services["cache"].has_healthcheck);
    assert_eq!(api.profiles, ["full"]);
    assert_eq!(api.volumes[1].subpath.as_ref().unwrap().known(), Some("api"));
    let base = file.services["db"].extends.as_ref().unwrap();
    assert_eq!(
        (base.service.known(), base.file.as_ref().unwrap().known()),
        (Some("postgres"), Some("common.yml"))
    );

    assert_eq!(file.volumes["cache"].driver_opts["device"].known(), Some(":/cache"));
    assert_eq!(file.volumes["cache"].labels.keys().collect::<Vec<_>>(), ["a", "c"]);
    assert!(file.networks["front"].external);
    assert_eq!(file.networks["back"].subnets[0].known(), Some("10.5.0.0/24"));
    assert_eq!(file.configs["conf"].file.as_ref().unwrap().known(), Some("./conf.json"));
    assert_eq!(file.secrets["key"].environment.as_deref(), Some("SECRET_KEY"));
    assert!(file.secrets["old"].external);
}

#[test]
fn variables_come_from_the_env_file() {
    let file = read_with(SHOP, &Variables::from_dot_env("TAG=1.27\nSTACK=prod")).unwrap();
    assert_eq!(file.services["web"].image.as_ref().unwrap().known(), Some("nginx:1.27"));
    assert_eq!(file.name.unwrap().known(), Some("prod"));
}

#[test]
fn services_start_after_what_they_need() {
    let order = order_of(&read(SHOP).unwrap());
    // web needs api, that needs db, that takes volumes from cache, and that joins web's network.
    assert_eq!(order.cycles, [["web", "api", "db", "cache"].map(str::to_owned).to_vec()]);
    let text = SHOP.replace("network_mode: \"service:web\", ", "");
    let order = order_of(&read(&text).unwrap());
    assert_eq!(order.start, ["cache", "db", "api", "web", "worker"]);
    assert_eq!(order.cycles, Vec::<Vec<String>>::new());
}

#[test]
fn volumes_have_their_real_names() {
    let volumes = project_volumes(&read(SHOP).unwrap(), "shop");
    let shown: Vec<_> = volumes
        .iter()
        .map(|v| (v.key.as_str(), v.real_name.text(), v.external, v.services.join(" ")))
        .collect();
    assert_eq!(
        shown,
        [
            ("data", "shop_data", false, "api worker".into()),
            ("cache", "shop_cache", false, "api worker".into()),
            ("pg", "legacy-pg", true, "db".into()),
            ("spare", "spare", true, String::new()),
            ("named", "fixed-shop", false, String::new()),
        ]
    );
}

#[test]
fn the_legacy_format_is_read() {
    let file =
        read("web:\n  image: nginx\n  links: [db]\n  volumes: ['data:/x']\ndb:\n  build: .\n").unwrap();
    assert_eq!(file.format, FileFormat::Legacy);
    assert_eq!(order_of(&file).start, ["db", "web"]);
    assert_eq!(project_volumes(&file, "p")[0].real_name.known(), Some("data"));
}

#[test]
fn volumes_tell_whether_their_data_lies_elsewhere() {
    let text = "volumes:\n  plain: {driver: local}\n  bound: {driver_opts: {type: none, o: bind, device: /srv}}\n  far: {driver: nfs}\n";
    let volumes = project_volumes(&read(text).unwrap(), "p");
    let elsewhere: Vec<_> = volumes
        .iter()
        .filter(|volume| volume.driver.is_some() || volume.has_options)
        .map(|volume| volume.key.as_str())
        .collect();
    assert_eq!(elsewhere, ["bound", "far"]);
}

#[test]
fn merge_keys_follow_yaml() {
    let text = "
services:
  a:
    <<: [&one {image: one, container_name: one}, {image: two, network_mode: host}]
    container_name: own
  b:
    image: first
    image: last
    <<: *one
    '<<': quoted
";
    let file = read(text).unwrap();
    let text = |value: &Option<Interpolated>| value.as_ref().map(|v| v.text().to_owned());
    let a = &file.services["a"];
    assert_eq!(text(&a.image).as_deref(), Some("one"));
    assert_eq!(text(&a.container_name).as_deref(), Some("own"));
    assert_eq!(text(&a.network_mode).as_deref(), Some("host"));
    assert_eq!(text(&file.services["b"].image).as_deref(), Some("last"));
    assert_eq!(text(&file.services["b"].container_name).as_deref(), Some("one"));
}

#[test]
fn odd_values_are_passed_over() {
    let text = "
services:
  nothing:
  text: hello
  odd: {image: [1], ports: 80, volumes: {a: b}, depends_on: 3, healthcheck: x, volumes: [[], 7, {target: /x}]}
  reset: {image: !reset null, ports: !reset [], volumes: !override ['a:/b'], image: !!str 12}
volumes:
networks: ~
";
    let file = read(text).unwrap();
    assert_eq!(file.services.len(), 4);
    assert_eq!(file.services["odd"].volumes.len(), 2);
    assert_eq!(file.services["reset"].image.as_ref().unwrap().known(), Some("12"));
    assert_eq!(file.services["reset"].volumes.len(), 1);
    assert!(file.services["reset"].ports.is_empty());
}

#[test]
fn mistakes_name_their_line() {
    let line = |text: &str| match read(text).unwrap_err() {
        ComposeError::Syntax { line, .. }
        | ComposeError::NotAMapping { line, .. }
        | ComposeError::SeveralDocuments { line }
        | ComposeError::RecursiveAlias { line } => line,
        other => panic!("{other}"),
    };
    assert_eq!(line("services:\n  web:\n    image: 'open\n"), 3);
    assert_eq!(line("services:\n  web: *nowhere\n"), 2);
    assert_eq!(line("a: b\nservices: [web]\n"), 2);
    assert_eq!(line("- a\n"), 1);
    assert_eq!(line("services: {}\n---\nservices: {}\n"), 2);
    assert_eq!(read("# nothing\n").unwrap_err(), ComposeError::Empty);
    assert_eq!(read("~\n").unwrap_err(), ComposeError::Empty);
    let error = read("services:\n\tweb: {}\n").unwrap_err();
    assert!(error.to_string().starts_with("line 2, column"), "{error}");
    assert!(!error.hint().is_empty());
}
