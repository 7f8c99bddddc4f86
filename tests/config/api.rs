//! The `api` section.

use std::net::SocketAddr;

use insta::assert_snapshot;

use super::{TERMINAL, load, pipeline, told};

fn text(api: &str) -> String {
    format!("{api}\n{}", pipeline(TERMINAL, ""))
}

/// Where the API is served by the configuration that begins with `api`.
fn served(api: &str) -> Option<SocketAddr> {
    let text = text(api);
    load(&[("x.yaml", &text)]).unwrap().pipeline.api
}

fn told_of(api: &str) -> String {
    told(&[("x.yaml", &text(api))])
}

#[test]
fn it_is_served_where_it_is_enabled() {
    assert_eq!(served(""), None);
    assert_eq!(served("api:"), None);
    assert_eq!(served("api: { address: '127.0.0.1:1' }"), None);
    for (api, address) in [
        ("api: { enabled: true }", "127.0.0.1:8686"),
        ("api: { enabled: '${YES}', address: '[::1]:0' }", "[::1]:0"),
        (
            "api: { enabled: true, address: 0.0.0.0:9000 }",
            "0.0.0.0:9000",
        ),
    ] {
        assert_eq!(served(api), Some(address.parse().unwrap()), "{api}");
    }
}

#[test]
fn what_others_can_reach_is_a_warning() {
    assert_eq!(told_of("api: { enabled: true }"), "loads");
    assert_eq!(
        told_of("api: { enabled: true, address: '[::ffff:127.0.0.2]:1' }"),
        "loads"
    );
    assert_eq!(told_of("api: { address: '0.0.0.0:8686' }"), "loads");
    assert_snapshot!(told_of("api: { enabled: true, address: '[::]:8686' }"), @r#"
    loads
    x.yaml:1:6: "api" is served on an address that other machines may reach, and asks for no password; let only those reach it that scrape and probe, or write address: 127.0.0.1:8686
    "#);
}

#[test]
fn its_faults_say_what_to_write() {
    assert_snapshot!(told_of("api: { enable: true, adress: x, port: 1 }"), @r#"
    x.yaml:1:8: unknown option "enable" for "api"; did you mean "enabled"?
    x.yaml:1:22: unknown option "adress" for "api"; did you mean "address"?
    x.yaml:1:33: unknown option "port" for "api"; known: "address", "enabled"
    "#);
    assert_snapshot!(told_of("api: { enabled: on, address: localhost:8686 }"), @r#"
    x.yaml:1:17: "enabled" of "api" must be true or false, found the string "on"
    x.yaml:1:30: "address" of "api" must be an IP address and a port, such as 127.0.0.1:8686, found the string "localhost:8686"
    "#);
    assert_snapshot!(told_of("api: { address: 8686 }"), @r#"x.yaml:1:17: "address" of "api" must be an IP address and a port, such as 127.0.0.1:8686, found the number 8686"#);
    assert_snapshot!(told_of("api: { address: '${SECRET}' }"), @r#"x.yaml:1:17: "address" of "api" must be an IP address and a port, such as 127.0.0.1:8686, found the string "${SECRET}""#);
    assert_snapshot!(told_of("api: true"), @r#"x.yaml:1:6: "api" must be a map, such as { enabled: true }, found true"#);
    assert_snapshot!(told_of("apis: { enabled: true }"), @r#"x.yaml:1:1: unknown option "apis" at the top level; did you mean "api"?"#);
    let (first, second) = (text("api: { enabled: true }"), "api: { enabled: false }");
    assert_snapshot!(told(&[("x.yaml", &first), ("y.yaml", second)]), @r#"y.yaml:1:6: "api" has another value at x.yaml:1:6; remove one"#);
    let same = told(&[("x.yaml", &first), ("y.yaml", "api: { enabled: true }")]);
    assert_eq!(same, "loads");
}
