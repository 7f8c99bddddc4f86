//! `Dockerfile` and `docker-compose.yml` fit each other, the sources and what they mount. What runs in
//! them is tested as any configuration under `pipelines/` is.

use std::{fs, path::Path};

/// A file at the top of the repository.
fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between each `before` and the `after` that follows it.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split(after).next())
        .map(str::trim)
        .collect()
}

fn the_one<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let found = between(text, before, after);
    assert_eq!(found.len(), 1, "{before:?}: {found:?}");
    found[0]
}

/// `1.88.0` or `1.88`.
fn version(text: &str) -> Vec<u32> {
    text.split('.')
        .map(|number| number.parse().expect("a number"))
        .collect()
}

#[test]
fn the_image_is_built_by_a_compiler_that_is_new_enough() {
    let dockerfile = file("Dockerfile");
    let compiler = version(the_one(&dockerfile, "FROM rust:", "-alpine"));
    let manifest = file("Cargo.toml");
    let least = version(the_one(&manifest, "rust-version = \"", "\""));
    assert!(compiler >= least, "{compiler:?} >= {least:?}");
}

#[test]
fn what_is_copied_and_mounted_is_there() {
    let dockerfile = file("Dockerfile");
    let copied = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|words| !words.starts_with("--from"));
    let mut paths: Vec<String> = Vec::new();
    for words in copied {
        let words: Vec<&str> = words.split(' ').collect();
        paths.extend(words[..words.len() - 1].iter().map(|path| (*path).into()));
    }
    let compose = file("docker-compose.yml");
    paths.extend(
        between(&compose, "- ./", ":")
            .into_iter()
            .map(str::to_owned),
    );
    assert!(paths.len() >= 5, "{paths:?}");
    for path in paths {
        let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        assert!(there.exists(), "{path}");
    }
}

#[test]
fn every_image_is_pinned_by_a_tag() {
    let compose = file("docker-compose.yml");
    let dockerfile = file("Dockerfile");
    let mut images = between(&compose, "image: ", "\n");
    images.extend(between(&dockerfile, "FROM ", "\n"));
    assert!(images.len() >= 5);
    for image in images {
        let image = image.split(' ').next().expect("a word");
        let is_pinned = image
            .split_once(':')
            .is_some_and(|(_, tag)| tag.starts_with(|first: char| first.is_ascii_digit()));
        assert!(is_pinned || image == "scratch", "{image}");
    }
    let mut kafka = between(&compose, "image: apache/kafka:", "\n");
    kafka.dedup();
    assert_eq!(kafka.len(), 1, "one Kafka: {kafka:?}");
}

/// The user may write where `data_dir` is, and nowhere else.
#[test]
fn the_data_dir_is_the_volume_and_its_owner_the_user() {
    let (dockerfile, compose) = (file("Dockerfile"), file("docker-compose.yml"));
    let pipeline = file("pipelines/demo-kafka.yaml");
    let data_dir = the_one(&pipeline, "data_dir: ", "\n");
    for mention in [
        format!("WORKDIR {data_dir}\n"),
        format!("VOLUME {data_dir}\n"),
        format!("/image{data_dir} {data_dir}\n"),
    ] {
        assert!(dockerfile.contains(&mention), "{mention}");
    }
    assert!(compose.contains(&format!("- baitline:{data_dir}\n")));
    let user = the_one(&dockerfile, "USER ", "\n");
    assert!(user.split(':').all(|id| id != "0"));
    assert!(dockerfile.contains(&format!("--chown={user} ")));
    assert!(
        between(&compose, "user: \"", "\"")
            .iter()
            .all(|id| *id == user)
    );
}

/// The services of the compose file are those that the configuration names.
#[test]
fn topics_and_addresses_are_the_same_on_both_sides() {
    let (compose, pipeline) = (
        file("docker-compose.yml"),
        file("pipelines/demo-kafka.yaml"),
    );
    assert!(compose.contains("./pipelines/demo-kafka.yaml:/etc/baitline/baitline.yaml:ro"));
    assert!(compose.contains("command: [run, --config, /etc/baitline/baitline.yaml]"));

    let read = the_one(&pipeline, "topics: [", "]");
    let written = the_one(&pipeline, "\n    topic: ", "\n");
    assert!(compose.contains(&format!("for topic in {read} {written}; do")));
    assert_eq!(the_one(&compose, "--topic audit", "\n"), "", "it is fed");
    assert_eq!(read, "audit");

    let brokers = between(&pipeline, "bootstrap_servers: ", "\n");
    assert_eq!(brokers.len(), 2);
    for broker in brokers {
        let advertised = format!("KAFKA_ADVERTISED_LISTENERS: PLAINTEXT://{broker}\n");
        assert!(compose.contains(&advertised), "{broker}");
    }
    let receiver = the_one(&pipeline, "webhook_url: http://", "/\n");
    let (service, port) = receiver.split_once(':').expect("a port");
    assert!(compose.contains(&format!("\n  {service}:\n")));
    assert!(compose.contains(&format!("HTTPServer((\"\", {port})")));
    let address = the_one(&pipeline, "address: 0.0.0.0:", " ");
    assert!(compose.contains(&format!("ports: [\"127.0.0.1:{address}:{address}\"]")));
}
