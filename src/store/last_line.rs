//! The end of a file that lines are appended to, the last of which may be cut short.

use std::{fs::File, io, os::unix::fs::FileExt};

/// Bytes that are looked at in one piece.
const PIECE: u64 = 64 << 10;

/// Where the last line before `end` begins: behind the last newline there, or at the beginning.
pub(crate) fn start_of_last_line(file: &File, end: u64) -> io::Result<u64> {
    let mut end = end;
    let mut piece = vec![0; PIECE.min(end) as usize];
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        let piece = &mut piece[..(end - start) as usize];
        file.read_exact_at(piece, start)?;
        if let Some(newline) = memchr::memrchr(b'\n', piece) {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The bytes from `start` to `end`.
pub(crate) fn read_between(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let length = end.saturating_sub(start);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_last_line_begins_behind_the_newline_before_it() {
        let long = "x".repeat(PIECE as usize * 2);
        for (text, start) in [
            ("", 0),
            ("torn", 0),
            ("\n", 1),
            ("a\n", 2),
            ("a\nbc", 2),
            ("a\n\nbc\n", 6),
        ] {
            for lead in ["", &format!("{long}\n")] {
                let mut file = tempfile::tempfile().unwrap();
                write!(file, "{lead}{text}").unwrap();
                let end = (lead.len() + text.len()) as u64;
                let expected = (lead.len() as u64) + start;
                assert_eq!(
                    start_of_last_line(&file, end).unwrap(),
                    expected,
                    "{text:?}"
                );
            }
        }
        let mut file = tempfile::tempfile().unwrap();
        write!(file, "a\n{long}").unwrap();
        assert_eq!(start_of_last_line(&file, 2 + long.len() as u64).unwrap(), 2);
        assert_eq!(read_between(&file, 1, 4).unwrap(), b"\nxx");
    }
}
