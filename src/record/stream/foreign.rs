//! Forms of data that nobody here reads, told by how they begin: searched as they are, they would pass for a log without a hit.

mod yaml;

use std::fmt;

use memchr::memmem;

pub use yaml::YAML_START;
use yaml::is_yaml;

use super::packing::MAGICS;

/// Bytes of a beginning that are kept: as many as a tar archive's first header has.
pub const BEGINNING_BYTES: usize = 512;

/// Where the mark of a tar archive stands, and what it is: POSIX's and GNU's. No text holds a NUL.
const TAR: (usize, [&[u8]; 2]) = (257, [b"ustar\0", b"ustar  \0"]);

const TAR_ARCHIVE: &str = "a tar archive";

/// Behind the first four bytes of bzip2: the mark of a block, or of the end.
const BZIP2: [&[u8]; 2] = [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"];

/// So many bytes of which every second is NUL are UTF-16, and those of which three of four are, UTF-32.
const WIDE_BYTES: usize = 32;

/// Bytes of which it is told whether they are packed, and how many of them are neither ASCII, or control characters of no text, if they
/// are: of packed bytes every second and every tenth.
pub const SAMPLE_BYTES: usize = 256;
const LEAST_HIGH: usize = 16;
const LEAST_CONTROLS: usize = 4;

/// Bytes from one sample to the next within a read: to find that one is ASCII takes as long as to read a hundred bytes more. What is
/// shorter is seen at the end of the stream.
const STRIDE_BYTES: usize = 16 << 10;

/// What is told by its first bytes. What of gzip and zstd comes here was packed more often than is undone.
const KNOWN: [(&[u8], Foreign); 23] = [
    (b"\xfd7zXZ\0", packed("xz data", "xz -dc")),
    (b"\x5d\0\0", packed("lzma data", "xz -dc")),
    (b"LZIP\x01", packed("lzip data", "lzip -dc")),
    (b"\x1f\x9d", packed("compress data", "gzip -dc")),
    (b"\x04\x22\x4d\x18", packed("lz4 data", "lz4 -dc")),
    (b"\x02\x21\x4c\x18", packed("lz4 data", "lz4 -dc")),
    (b"\xff\x06\0\0sNaPpY", packed("snappy data", "snzip -dc")),
    (b"\x89LZO\0\r\n\x1a\n", packed("lzop data", "lzop -dc")),
    (b"7z\xbc\xaf\x27\x1c", packed("a 7z archive", "7z x -so")),
    (b"PK\x03\x04", packed("a zip archive", "unzip -p")),
    (b"PK\x05\x06", packed("a zip archive", "unzip -p")),
    (b"\x1f\x8b\x08", packed("gzip data", "gzip -dc")),
    (b"\x28\xb5\x2f\xfd", packed("zstd data", "zstd -dc")),
    // But for what begins as text does, `x^`.
    (b"\x78\x01", packed("zlib data", "pigz -dc")),
    (b"\x78\x9c", packed("zlib data", "pigz -dc")),
    (b"\x78\xda", packed("zlib data", "pigz -dc")),
    (b"PAR1\x15", table("a Parquet file")),
    (b"LPKSHHRH", JOURNAL),
    (b"Obj\x01", table("an Avro file")),
    (b"\xff\xfe\0\0", UTF_32),
    (b"\0\0\xfe\xff", UTF_32),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
];

const UTF_16: Foreign = told(
    "UTF-16 text",
    "convert it first, with iconv -f UTF-16 -t UTF-8",
    "",
);

const UTF_32: Foreign = told(
    "UTF-32 text",
    "convert it first, with iconv -f UTF-32 -t UTF-8",
    "",
);

const PACKED_REST: &str = "text with packed data behind it";

const YAML: Foreign = told(
    "YAML",
    "get it as JSON, with --format json or --output json",
    "",
);

const JOURNAL: Foreign = told(
    "a journal of systemd",
    "export it first, with ",
    "journalctl -o json --file",
);

const fn packed(what: &'static str, command: &'static str) -> Foreign {
    told(what, "unpack it first, with ", command)
}

const fn table(what: &'static str) -> Foreign {
    told(what, "export its rows as JSON, one a line", "")
}

const fn told(what: &'static str, remedy: &'static str, command: &'static str) -> Foreign {
    Foreign {
        what,
        remedy,
        command,
    }
}

/// A form of data that is not read. Displayed as what it is, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    what: &'static str,
    remedy: &'static str,
    command: &'static str,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            remedy,
            command,
        } = self;
        let how = match *what {
            TAR_ARCHIVE => "searched as one text, without what is compressed in it",
            PACKED_REST => "of which only the text is read",
            _ => "which is not read",
        };
        write!(f, "this is {what}, {how}: {remedy}{command}")
    }
}

/// How a stream begins, as far as that matters here.
pub(super) struct Beginning {
    bytes: [u8; BEGINNING_BYTES],
    length: usize,
}

impl Default for Beginning {
    fn default() -> Self {
        Self {
            bytes: [0; BEGINNING_BYTES],
            length: 0,
        }
    }
}

impl Beginning {
    /// Takes in what comes next.
    pub fn take(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.length..];
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.length += count;
    }

    pub fn foreign(&self) -> Option<Foreign> {
        foreign(&self.bytes[..self.length])
    }

    /// Of a stream that begins as text.
    pub fn packed_rest(&self, ending: &Ending) -> Option<Foreign> {
        let beginning = &self.bytes[..self.length];
        let packed = MAGICS
            .iter()
            .filter_map(|magic| memmem::find(beginning, magic));
        let text = &beginning[..packed.min().unwrap_or(beginning.len())];
        let is_text = !text.iter().take(WIDE_BYTES).any(is_no_text);
        let is_packed = ending.was_packed || ending.is_packed();
        (is_text && is_packed).then_some(told(
            PACKED_REST,
            "unpack the rest first, with ",
            "gzip -dc or zstd -dc",
        ))
    }
}

/// How a stream that began as text ended, and what it is at some places before.
pub(super) struct Ending {
    bytes: [u8; SAMPLE_BYTES],
    length: usize,
    /// One of these held packed bytes.
    was_packed: bool,
}

impl Default for Ending {
    fn default() -> Self {
        Self {
            bytes: [0; SAMPLE_BYTES],
            length: 0,
            was_packed: false,
        }
    }
}

impl Ending {
    /// Takes in what was read next.
    pub fn take(&mut self, read: &[u8]) {
        let new = &read[read.len().saturating_sub(SAMPLE_BYTES)..];
        let kept = self.length.min(SAMPLE_BYTES - new.len());
        self.bytes.copy_within(self.length - kept..self.length, 0);
        self.length = kept + new.len();
        self.bytes[kept..self.length].copy_from_slice(new);
        let samples = read.chunks_exact(STRIDE_BYTES);
        self.was_packed |= samples
            .map(|stretch| &stretch[..SAMPLE_BYTES])
            .any(is_packed);
    }

    fn is_packed(&self) -> bool {
        is_packed(&self.bytes[..self.length])
    }
}

/// Whether `sample` is of bytes that are packed, or else of no text. What a file system left empty is none.
fn is_packed(sample: &[u8]) -> bool {
    if sample.is_ascii() {
        return false;
    }
    let last = sample.iter().rposition(|byte| *byte != 0);
    let sample = &sample[..last.map_or(0, |last| last + 1)];
    let count = |is: fn(&u8) -> bool| sample.iter().filter(|byte| is(byte)).count();
    count(|byte| !byte.is_ascii()) >= LEAST_HIGH
        && count(is_no_text) >= LEAST_CONTROLS
        && !is_utf8(sample)
}

/// Whether `sample` is cut out of UTF-8.
fn is_utf8(sample: &[u8]) -> bool {
    let is_rest = |byte: &&u8| **byte & 0xc0 == 0x80;
    let start = sample.iter().take_while(is_rest).count();
    std::str::from_utf8(&sample[start..]).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// A control character that stands in no text: neither white space nor of a terminal.
fn is_no_text(byte: &u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\x08'..=b'\r' | b'\x1b')
}

/// That packed data follows on text, of which these are the first and the last bytes.
pub fn packed_behind(head: &[u8], tail: &[u8]) -> Option<Foreign> {
    let (mut beginning, mut ending) = (Beginning::default(), Ending::default());
    beginning.take(head);
    ending.take(tail);
    beginning.packed_rest(&ending)
}

/// What begins with `head`, if that is not read. A few hundred bytes are enough.
pub fn foreign(head: &[u8]) -> Option<Foreign> {
    if let Some((_, foreign)) = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(*foreign);
    }
    let stands_at = |place: usize, mark| head.get(place..).is_some_and(|at| at.starts_with(mark));
    if stands_at(0, b"BZh") && BZIP2.iter().any(|mark| stands_at(4, mark)) {
        return Some(packed("bzip2 data", "bzip2 -dc"));
    }
    if TAR.1.iter().any(|mark| stands_at(TAR.0, mark)) {
        return Some(packed(TAR_ARCHIVE, "tar -xO"));
    }
    if is_yaml(head) {
        return Some(YAML);
    }
    [(2, UTF_16), (4, UTF_32)]
        .into_iter()
        .find(|(width, _)| is_wide(head, *width))
        .map(|(_, foreign)| foreign)
}

/// Whether `head` is text of `width` bytes a character, without a byte-order mark: of ASCII one is not NUL, the first or the last, and
/// the others are.
fn is_wide(head: &[u8], width: usize) -> bool {
    let Some(head) = head.first_chunk::<WIDE_BYTES>() else {
        return false;
    };
    [0, width - 1].into_iter().any(|place| {
        let is_text = |(index, byte): (usize, &u8)| (*byte != 0) == (index % width == place);
        head.iter().enumerate().all(is_text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_told_and_text_is_not() {
        let tar = [&[b'a'; 257][..], b"ustar\x0000"].concat();
        let wide: Vec<u8> = "{\"kind\":\"Event\",\"level\":1}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let wider = |bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
            let letters = "{\"kind\":\"Event\",\"level\":1}".bytes();
            letters
                .flat_map(|letter| bytes(u32::from(letter)))
                .collect()
        };
        let (little, big) = (wider(u32::to_le_bytes), wider(u32::to_be_bytes));
        for (head, what) in [
            (&b"\xfd7zXZ\0\0\x04"[..], "xz data"),
            (b"BZh91AY&SY", "bzip2 data"),
            (b"BZh9\x17\x72\x45\x38\x50\x90", "bzip2 data"),
            (b"x\x9c\x85\x92\xcd", "zlib data"),
            (b"x\xda\x03\0\0\0\0\x01", "zlib data"),
            (b"x\x01", "zlib data"),
            (&tar, "a tar archive"),
            (&wide, "UTF-16 text"),
            (&wide[1..], "UTF-16 text"),
            (b"\xff\xfe{\0", "UTF-16 text"),
            (&little, "UTF-32 text"),
            (&big, "UTF-32 text"),
            (b"\xff\xfe\0\0{\0\0\0", "UTF-32 text"),
            (b"\0\0\xfe\xff\0\0\0{", "UTF-32 text"),
            (
                b"---\ninsertId: 1\nlabels:\n  authorization.k8s.io/decision: allow\n",
                "YAML",
            ),
            (
                b"# gcloud logging read\n\n%YAML 1.2\r\n---\ninsertId: 1\n",
                "YAML",
            ),
            (
                b"# ---\ninsertId: H1\nprotoPayload:\n  '@type': x\n---\nlabels: {}\nlog",
                "YAML",
            ),
            (
                b"annotations:\n  a.b/c: d\napiVersion: audit.k8s.io/v1\nauditID: 1\n",
                "YAML",
            ),
            (b"- AuditId: 1\n  User: '{}'\n", "YAML"),
            (b"---\n- log_s: '{}'\n", "YAML"),
            (b"---\nprotoPayload.methodName: x\n", "YAML"),
            (b"results:\n- - field: '@timestamp'\n    value: x\n", "YAML"),
            (
                b"- &id001\n  kind: Event\n  apiVersion: audit.k8s.io/v1\n  user:\n",
                "YAML",
            ),
            (
                b"---\r\nkind: Event\r\napiVersion: audit.k8s.io/v1\r\n",
                "YAML",
            ),
        ] {
            let told = foreign(head).map(|foreign| foreign.what);
            assert_eq!(told, Some(what), "{head:?}");
        }
        let text_like_tar = [&[b'a'; 257][..], b"ustard"].concat();
        for head in [
            &b""[..],
            &text_like_tar,
            b"PAR1-master kube-apiserver: {}",
            b"{\"kind\":\"Event\"}",
            b"BZh9 is how bzip2 begins",
            b"PK",
            b"]",
            &[0; 600],
            &tar[..260],
            b"LZIP is a format",
            b"x^2 = y",
            b"---\nkind: Pod\napiVersion: v1\n",
            b"--- insertId: 1\n",
            b"insertId: 1 {\"a\":1}\nand so on\n",
            b"insertId: 1\n{\"auditID\":1}\n",
            b"kind: Pod\napiVersion: v1\n",
            b"{}\n---\ninsertId: 1\n",
            b"#\n%\n\n",
            b"---\n{\"insertId: 1\"}\n",
        ] {
            assert_eq!(foreign(head), None, "{head:?}");
        }
    }

    #[test]
    fn a_beginning_is_put_together_of_any_reads() {
        let mut beginning = Beginning::default();
        for part in [&b"PK"[..], b"", b"\x03\x04", &[0; 1000], b"x"] {
            beginning.take(part);
        }
        assert_eq!(beginning.foreign(), foreign(b"PK\x03\x04"));
        assert!(beginning.foreign().is_some());
    }
}
