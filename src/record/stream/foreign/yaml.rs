//! YAML of requests to an API server, told by how it begins.

/// How a document of YAML begins, and a line of one that tells of requests to an API server, as gcloud, kubectl, az and aws write them.
pub const YAML_START: &[u8] = b"---";
const YAML_LINES: [&[u8]; 11] = [
    b"insertId:",
    b"logName:",
    b"protoPayload:",
    b"protoPayload.",
    b"auditID:",
    b"apiVersion: audit.k8s.io/",
    b"AuditId:",
    b"RequestUri:",
    b"RequestReceivedTime:",
    b"log_s:",
    b"field: '@",
];

/// What stands before an item.
const ITEM: &[u8] = b"- ";

/// Whether `head` is of such a document, before which comments and directives (`%YAML 1.2`) may stand. Where it does not begin with
/// its mark, as what is printed of one object does not, all lines have to be such as YAML has.
pub(super) fn is_yaml(head: &[u8]) -> bool {
    let lines = head.split(|byte| *byte == b'\n');
    let mut lines = lines.map(<[u8]>::trim_ascii_end);
    let is_before = |line: &&[u8]| line.is_empty() || matches!(line[0], b'#' | b'%');
    let Some(first) = lines.find(|line| !is_before(line)) else {
        return false;
    };
    let tells = |line: &[u8]| {
        let mut line = match first == YAML_START {
            true => line,
            false => line.trim_ascii_start(),
        };
        while let Some(item) = line.strip_prefix(ITEM) {
            line = item;
        }
        YAML_LINES.iter().any(|known| line.starts_with(known))
    };
    let rest = || lines.clone();
    let is_told = tells(first) || rest().any(tells);
    // The last line may be cut.
    let count = rest().count().saturating_sub(1);
    let are_all = || is_line_of_yaml(first) && rest().take(count).all(is_line_of_yaml);
    is_told && (first == YAML_START || are_all())
}

/// Whether `line` is one of YAML, as it is written without a mark: a key, an item, or one below it.
fn is_line_of_yaml(line: &[u8]) -> bool {
    let is_of_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./@".contains(byte);
    let key = line.iter().take_while(|byte| is_of_key(byte)).count();
    let behind = &line[key..];
    let is_key = key > 0 && (behind == b":" || behind.starts_with(b": "));
    is_key
        || line == YAML_START
        || line.is_empty()
        || line.starts_with(ITEM)
        || matches!(line[0], b' ' | b'#')
}
