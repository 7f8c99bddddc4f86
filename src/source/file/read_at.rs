//! Reads of a file at a place, without its cursor.

use std::{fs::File, io, os::unix::fs::FileExt};

/// Reads until `into` is full or the file ends.
pub(crate) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut count = 0;
    while count < into.len() {
        match file.read_at(&mut into[count..], offset + count as u64) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// How `file` begins: `most` bytes, or all there are.
pub(crate) fn read_head(file: &File, most: usize) -> io::Result<Vec<u8>> {
    let mut head = vec![0; most];
    let length = read_at(file, &mut head, 0)?;
    head.truncate(length);
    Ok(head)
}
