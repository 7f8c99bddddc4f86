//! What a user can say on the command line, and what they are told when it is wrong.

use std::fs;

use serde_json::json;

use super::{
    harness::{Setting, configuration, decoy},
    inputs::{METADATA, joined, token_use},
    receiver::{Manner, Receiver, SECRET},
};

/// Runs `baitline` with `arguments`, which must be refused; gives what it says.
fn refused(setting: &Setting, arguments: &[&str]) -> String {
    let ran = setting.run(arguments, b"");
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(78), ""),
        "{}",
        ran.stderr
    );
    ran.stderr
}

/// One use of the decoy's token.
fn hit() -> Vec<u8> {
    joined([token_use(1, "10.0.3.7", json!({})).to_string()])
}

#[test]
fn what_is_no_command_is_told_how_to_write_one() {
    let setting = Setting::empty();
    for arguments in [
        &["frob"][..],
        &["run", "--frob"],
        &["run", "--config"],
        &["run", "--config", "a.yaml", "--decoy", "a/b"],
        &["run", "more"],
        &["validate"],
        &["run", "-q", "-v"],
        &["run", "--log-format", "xml"],
        &[],
    ] {
        let said = refused(&setting, arguments);
        let helps = ["Usage: baitline", "try '--help'"]
            .iter()
            .any(|help| said.contains(help));
        assert!(helps, "{arguments:?}: {said}");
    }
}

#[test]
fn a_configuration_in_the_wrong_place_is_told_the_right_one() {
    let setting = Setting::empty();
    for (arguments, hint) in [
        (
            ["validate", "--config", "x.yaml"].as_slice(),
            "baitline validate FILE",
        ),
        (&["-q", "run", "x.yaml"], "baitline run --config FILE"),
    ] {
        let ran = setting.run(arguments, b"");
        assert_eq!(ran.code, Some(78), "{arguments:?}");
        assert!(ran.stderr.contains(hint), "{}", ran.stderr);
    }
    let ran = setting.run(&["run", "x"], b"");
    assert!(!ran.stderr.contains("hint"), "{}", ran.stderr);
}

#[test]
fn help_and_version_are_no_errors() {
    for (arguments, word) in [
        (["--help"].as_slice(), "Usage: baitline"),
        (&["run", "--help"], "SLACK_WEBHOOK_URL"),
        (&["scan", "--help"], "Exit codes: 0 no hit,"),
        (
            &["--version"],
            concat!("baitline ", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        let ran = Setting::empty().run(arguments, b"");
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert!(ran.stdout.contains(word), "{}", ran.stdout);
    }
}

#[test]
fn validate_says_that_a_sound_configuration_is_sound() {
    let setting = Setting::with(&configuration(decoy(true)));
    let ran = setting.run(&["validate", "baitline.json"], b"");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        ran.stdout,
        "sound: decoys 1, sources 1, transforms 2, sinks 3\n"
    );
    assert!(!setting.path("told.ndjson").exists(), "nothing runs");
}

#[test]
fn validate_and_run_tell_all_faults_of_all_files() {
    let setting = Setting::empty();
    setting.write("a.yaml", "deploys: []\nsources:\n  audit: {type: stdn}\n");
    setting.write(
        "b.toml",
        "[sinks.out]\ntype = \"console\"\ninputs = [\"incidnts\"]\n",
    );
    setting.write("c.json", "{");
    for arguments in [
        ["validate", "a.yaml", "b.toml", "c.json", "d.yaml"].as_slice(),
        &[
            "run", "-c", "a.yaml", "--config", "b.toml", "-c", "c.json", "-c", "d.yaml",
        ],
    ] {
        let said = refused(&setting, arguments);
        for fault in [
            "a.yaml:1:1: unknown option \"deploys\" at the top level; did you mean \"decoys\"?",
            "a.yaml:3:17: unknown type \"stdn\" of source \"audit\"; did you mean \"stdin\"?",
            "c.json:1:",
            "d.yaml: cannot be read",
        ] {
            assert!(said.contains(fault), "{said}");
        }
    }
}

#[test]
fn several_files_and_directories_are_one_configuration() {
    let setting = Setting::empty();
    let mut whole = configuration(decoy(true));
    fs::create_dir(setting.path("sinks")).expect("the directory is ours");
    let sinks = json!({"sinks": whole["sinks"].take()});
    let decoys = json!({"decoys": whole["decoys"].take()});
    setting.write("sinks/sinks.json", sinks.to_string());
    setting.write("decoys.yaml", decoys.to_string());
    whole
        .as_object_mut()
        .expect("an object")
        .retain(|_, section| !section.is_null());
    setting.write("rest.json", whole.to_string());
    let arguments = ["run", "-c", "decoys.yaml", "-c", "rest.json", "-c", "sinks"];
    let ran = setting.run(&arguments, &hit());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.told().count(), 1);
}

#[test]
fn without_a_configuration_it_is_the_example() {
    let built_in = Setting::empty().run(&["run"], &METADATA);
    assert_eq!(built_in.code, Some(0), "{}", built_in.stderr);
    assert!(
        built_in
            .stdout
            .contains("CRITICAL opened: Token of decoy honeypot/backup-sa used")
    );
    assert_eq!(built_in.stdout, built_in.file("alert.txt"));
    assert!(!built_in.stdout.contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn decoys_may_be_named_on_the_command_line() {
    let events = ["ci:deployer", "honeypot:backup-sa", "shop:till"].map(|name| {
        let username = format!("system:serviceaccount:{name}");
        token_use(1, "10.0.3.7", json!({"user": {"username": username}})).to_string()
    });
    let secret = |namespace: &str, name: &str| {
        let target = json!({"resource": "secrets", "namespace": namespace, "name": name});
        token_use(
            2,
            "10.0.3.8",
            json!({"user": {"username": "jane"}, "verb": "get", "objectRef": target,
            "responseStatus": {"code": 200}}),
        )
        .to_string()
    };
    let secrets = [
        secret("ci", "deployer-token"),
        secret("ci", "other"),
        secret("shop", "deployer-token"),
    ];
    let input = joined(events.into_iter().chain(secrets));
    let ran = Setting::empty().run(
        &["run", "--decoy", "ci/deployer", "-d", "shop/till"],
        &input,
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let opened: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.contains(" opened: "))
        .collect();
    assert_eq!(opened.len(), 3, "{opened:#?}");
    for beginning in [
        "CRITICAL opened: Token of decoy ci/deployer used from 10.0.3.7",
        "CRITICAL opened: Token of decoy shop/till used from 10.0.3.7",
        "HIGH opened: Secret ci/deployer-token read by jane from 10.0.3.8",
    ] {
        assert!(
            opened.iter().any(|line| line.starts_with(beginning)),
            "{opened:#?}"
        );
    }
}

#[test]
fn a_decoy_that_is_no_name_is_told_how_to_be_one() {
    let setting = Setting::empty();
    for (name, wanted) in [
        (
            "backup-sa",
            "\"service_account\" of decoy \"backup-sa\" must be namespace/name",
        ),
        ("honeypot/backup_sa", "did you mean \"backup-sa\"?"),
        (
            "system:serviceaccount:honeypot:backup-sa",
            "did you mean \"honeypot/backup-sa\"?",
        ),
        ("Honeypot/x", "did you mean \"honeypot\"?"),
        ("", "is empty; write a value"),
        ("a/${HOME}", "a/${HOME}"),
        ("a/\u{1b}[31m", "\\u{1b}"),
    ] {
        let said = refused(&setting, &["run", "--decoy", name]);
        assert!(
            said.starts_with("--decoy: ") && said.contains(wanted),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "each fault once: {said}");
        assert!(!said.contains('\u{1b}'));
    }
    let twice = refused(&setting, &["run", "-d", "a/b", "-d", "a/b"]);
    assert!(twice.contains("\"a/b\""), "{twice}");
    let both = refused(&setting, &["run", "-d", "a", "-d", "b"]);
    assert_eq!(both.lines().count(), 2, "{both}");
}

#[test]
fn slack_is_told_if_its_url_is_in_the_environment() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let mut program = setting.program(&["run"]);
    let mut running = setting.start(program.env("SLACK_WEBHOOK_URL", receiver.url()));
    running.write(&hit());
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 2, "opened and closed");
    assert!(bodies[0].contains("honeypot/backup-sa"), "{}", bodies[0]);
    assert!(!ran.stderr.contains(SECRET));

    let mut program = setting.program(&["run"]);
    let ran = setting
        .start(program.env("SLACK_WEBHOOK_URL", "hooks.slack.example/s3cret"))
        .end();
    assert_eq!(ran.code, Some(78));
    assert!(
        ran.stderr.starts_with("SLACK_WEBHOOK_URL: "),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("must be an http or https URL"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("s3cret"));

    let mut program = setting.program(&["run"]);
    let ran = setting.start(program.env("SLACK_WEBHOOK_URL", "")).end();
    assert_eq!(ran.code, Some(0), "an empty one is none: {}", ran.stderr);
}
