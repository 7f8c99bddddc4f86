//! The README says what the program does.

use std::{collections::BTreeMap, fmt::Write, fs};

use baitline::{
    config::{Reference, reference},
    format::json,
};

use crate::program::harness::Setting;

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"))
        .expect("there is a README")
}

/// The options of one component as a table.
fn table(reference: &Reference) -> String {
    let title = match reference.role {
        Some(role) => format!("`{}` {role}", reference.name),
        None => format!("`{}`", reference.name),
    };
    let mut text = format!("**{title}**: {}\n\n", reference.about);
    text += "| option | value | default | |\n| --- | --- | --- | --- |\n";
    for option in &reference.options {
        let default = match option.default.as_deref() {
            None => "required".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let doc = option.doc.split_whitespace().collect::<Vec<_>>().join(" ");
        let kind = option.kind.replace('|', "\\|");
        writeln!(text, "| `{}` | {kind} | {default} | {doc} |", option.name)
            .expect("a string takes text");
    }
    text
}

/// One truth for the options: the configuration's own. On a difference the wanted text
/// is printed, to be put into the README.
#[test]
fn its_reference_is_that_of_the_configuration() {
    let wanted = reference().iter().map(table).collect::<Vec<_>>().join("\n");
    assert!(
        readme().contains(&wanted),
        "the README's section Options should be:\n\n{wanted}"
    );
}

/// Every option that all commands have, by its short name too.
#[test]
fn it_describes_what_every_command_takes() {
    let help = Setting::empty().run(&["--help"], b"").stdout;
    let (_, options) = help.split_once("Options:").expect("there are some");
    let names = options.split_whitespace().filter_map(|word| {
        let name = word.trim_end_matches(['.', ',']);
        let is_one = name.starts_with('-') && !matches!(name, "--help" | "-h" | "--version" | "-V");
        is_one.then_some(name)
    });
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 4, "{names:?}");
    for name in names {
        assert!(readme().contains(&format!("`{name}")), "{name}");
    }
}

/// What it links to is there.
#[test]
fn its_links_lead_somewhere() {
    let readme = readme();
    let links = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    let paths: Vec<&str> = links
        .map(|(link, _)| link.split('#').next().unwrap_or_default())
        .filter(|link| !link.is_empty() && !link.contains("://"))
        .collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
        assert!(fs::exists(&path).is_ok_and(|is| is), "{path}");
    }
}

/// The table of techniques names each, with its severity and its ATT&CK ids.
#[test]
fn its_table_of_techniques_is_complete() {
    let readme = readme();
    let rows: BTreeMap<&str, &str> = readme
        .lines()
        .filter_map(|line| Some((line.strip_prefix("| `")?.split('`').next()?, line)))
        .collect();
    for technique in baitline::detect::Technique::ALL {
        let row = rows
            .get(technique.as_str())
            .unwrap_or_else(|| panic!("no row for {technique}"));
        let end = format!(
            "| {} | {} |",
            technique.severity(),
            technique.attack().join(", ")
        );
        assert!(
            row.contains(&end.replace("|  |", "| |")),
            "{row} should end in {end}"
        );
    }
}

/// `line` as it would be written.
fn rewritten(line: &str) -> String {
    let mut out = Vec::new();
    match json::read(line.as_bytes()).expect("the README's examples can be read") {
        json::Line::Detection(detection) => json::detection(&detection, &mut out),
        json::Line::Alert(alert) => json::alert(&alert, &mut out),
    }
    String::from_utf8(out).expect("JSON is text")
}

/// Its examples of lines have each field, in the order that is an interface.
#[test]
fn its_lines_of_json_are_as_they_are_written() {
    let readme = readme();
    let block = |start: &str| {
        let (_, rest) = readme.split_once(start).expect("there is an example");
        let end = rest
            .find("\n\n")
            .into_iter()
            .chain(rest.find("\n```"))
            .min();
        let block = [start, &rest[..end.expect("it ends")]].concat();
        block.replace('\n', "")
    };
    let detection = block(r#"{"type":"detection""#);
    assert_eq!(rewritten(&detection).trim_end(), detection);
    let alert = block(r#"{"type":"alert""#);
    assert_eq!(rewritten(&alert).trim_end(), alert);
    for part in [block(r#""flood":{"#), block(r#""component":{"#)] {
        let (name, _) = part.split_once(':').expect("it has a name");
        let with = alert.replace(&format!("{name}:null"), &part);
        assert_ne!(with, alert);
        assert_eq!(rewritten(&with).trim_end(), with);
    }
}
