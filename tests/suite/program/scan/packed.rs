//! Archives: those that are read, those that are damaged, and those that are only told.

use std::{io::Write, process::Command};

use super::{
    super::{harness::Setting, told::Told},
    gzip, hit, scan, told, zstd,
};

#[test]
fn damage_is_told_and_what_stood_before_it_is_found() {
    let setting = Setting::empty();
    let mut log = hit(1, "2026-11-23T17:00:01Z");
    let noise: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    log.extend(noise);
    for (name, packed, reason) in [
        ("damaged.gz", gzip(&log), "damaged Gzip data"),
        ("damaged.zst", zstd(&log), "damaged Zstd data"),
        ("cut.gz", gzip(&log), "cut off"),
        ("cut.zst", zstd(&log), "cut off"),
    ] {
        let mut packed = packed;
        match name.starts_with("cut") {
            true => packed.truncate(packed.len() - 10_000),
            false => {
                let middle = packed.len() - 200_000;
                packed[middle..middle + 1000].fill(0xff);
                packed.splice(middle..middle, *b"\xff\x00\xff");
            }
        }
        setting.write(name, packed);
        setting.write("later", hit(2, "2026-11-23T17:00:02Z"));
        let ran = scan(&setting, &["--json", name, "later"]);
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("{name}: ")), "{}", ran.stderr);
        if name.starts_with("cut") {
            assert!(ran.stderr.contains(reason), "{}", ran.stderr);
        }
        assert_eq!(Told::read(&ran.stdout).count(), 2, "{name}");
    }
    let ran = setting.run(&["scan", "-q", "--json", "-"], &gzip(&log)[..1000]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("stdin: Gzip data is cut off"),
        "{}",
        ran.stderr
    );
}

/// What is packed in a way that is not undone must not pass for a log without a hit.
#[test]
fn what_is_not_read_is_told_by_what_it_is() {
    let setting = Setting::empty();
    let log = hit(1, "2026-11-23T17:00:01Z");
    let wide = String::from_utf8_lossy(&log)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let zip = [b"PK\x03\x04".as_slice(), &[0x14; 40]].concat();
    let xz = [b"\xfd7zXZ\0".as_slice(), &vec![0xaa; 17 << 20]].concat();
    for (name, bytes, said) in [
        (
            "log.xz",
            xz.clone(),
            "this is xz data, which is not read: unpack it first, with xz -dc",
        ),
        ("log.xz.gz", gzip(&xz[..1000]), "xz data"),
        ("log.bz2", b"BZh91AY&SY\x1d\xcb".to_vec(), "bzip2 -dc"),
        ("log.zip", zip, "unzip -p"),
        ("log.lz4", b"\x04\x22\x4d\x18\x64\x40".to_vec(), "lz4 -dc"),
        ("log.7z", b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(), "7z archive"),
        ("log.sz", b"\xff\x06\0\0sNaPpY".to_vec(), "snappy"),
        ("log.txt", wide, "UTF-16"),
        ("log.gz.gz.gz", gzip(&gzip(&gzip(&log))), "gzip -dc"),
    ] {
        setting.write(name, &bytes);
        let ran = scan(&setting, &[name]);
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.stderr);
        let told = ran
            .stderr
            .lines()
            .find(|line| line.contains(&format!("{name}: ")));
        assert!(
            told.is_some_and(|told| told.contains(said)),
            "{name}: {}",
            ran.stderr
        );
        let beginning = &bytes[..bytes.len().min(10_000)];
        let piped = setting.run(&["scan", "-"], beginning);
        assert_eq!(piped.code, Some(1), "{name}: {}", piped.stderr);
        assert!(piped.stderr.contains(said), "{name}: {}", piped.stderr);
        let live = setting.run(&["run"], beginning);
        assert_eq!(live.code, Some(1), "{name}: {}", live.stderr);
        assert!(live.stderr.contains(said), "{name}: {}", live.stderr);
    }
}

#[test]
fn what_was_packed_twice_or_by_several_threads_is_read() {
    let setting = Setting::empty();
    let log = hit(1, "2026-11-23T17:00:01Z");
    // As pzstd writes it: in front of each frame one that tells its length.
    let frame = zstd(&log);
    let length = (frame.len() as u32).to_le_bytes();
    let parallel = [b"\x50\x2a\x4d\x18\x04\0\0\0".as_slice(), &length, &frame].concat();
    for (name, packed) in [
        ("log.gz.gz", gzip(&gzip(&log))),
        ("log.gz.zst", zstd(&gzip(&log))),
        ("log.zst", parallel),
    ] {
        setting.write(name, packed);
        assert_eq!(told(&setting, &[name]).count(), 1, "{name}");
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory takes all");
    encoder.window_log(28).expect("the library can do more");
    encoder.write_all(&log).expect("memory takes all");
    setting.write("wide.zst", encoder.finish().expect("memory takes all"));
    let ran = scan(&setting, &["wide.zst"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("zstd -dc --long=31") && !ran.stderr.contains("damaged"),
        "{}",
        ran.stderr
    );
}

/// The files of a tar archive are searched as one text, with the headers between them.
/// As `cat audit.log audit.log.1.gz` makes it.
#[test]
fn what_is_packed_behind_text_is_told() {
    let setting = Setting::empty();
    let (plain, log) = (
        hit(1, "2026-11-23T17:00:01Z"),
        hit(2, "2026-11-23T17:00:02Z"),
    );
    let long = plain.repeat((17 << 20) / plain.len());
    let noise: Vec<u8> = (0..10_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let large = gzip(&[&log[..], &noise].concat());
    for (name, bytes) in [
        ("gz", [&plain[..], &gzip(&log)].concat()),
        ("zst", [&plain[..], &zstd(&log)].concat()),
        ("long", [&long[..], &gzip(&log)].concat()),
        ("between", [&plain[..], &large, &plain].concat()),
        ("both.gz", gzip(&[&plain[..], &gzip(&log)].concat())),
        ("short", [b"{}\n", &gzip(&log)[..]].concat()),
        ("newline", [b"\n", &zstd(&log)[..]].concat()),
        ("mark", ["\u{feff}".as_bytes(), &gzip(&log)].concat()),
    ] {
        setting.write(name, &bytes);
        let ran = scan(&setting, &[name]);
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.stderr);
        let said =
            "of which only the text is read: unpack the rest first, with gzip -dc or zstd -dc";
        assert!(ran.stderr.contains(said), "{name}: {}", ran.stderr);
    }
    let nul = [&plain[..], &[0; 5000]].concat();
    let other = [&plain[..], "\u{7528}\u{6237}\u{1}\n".repeat(900).as_bytes()].concat();
    for (name, bytes) in [("nul", nul), ("other", other)] {
        setting.write(name, &bytes);
        let ran = scan(&setting, &[name]);
        assert_eq!(ran.code, Some(2), "{name}: {}", ran.stderr);
    }
}

#[test]
fn a_tar_archive_is_told_and_searched_as_it_is() {
    let setting = Setting::empty();
    setting.write("a.log", hit(1, "2026-11-23T17:00:01Z"));
    setting.write("b.log", hit(2, "2026-11-23T17:00:02Z"));
    for (options, name) in [("-cf", "logs.tar"), ("-czf", "logs.tar.gz")] {
        let made = Command::new("tar")
            .current_dir(setting.path(""))
            .args([options, name, "a.log", "b.log"])
            .status();
        assert!(made.expect("there is tar").success());
        let ran = scan(&setting, &["--json", name]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        let said = "a tar archive, searched as one text, without what is compressed in it: unpack it first, with tar -xO";
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        assert_eq!(Told::read(&ran.stdout).count(), 2, "{name}: {}", ran.stdout);
    }
}
