//! What the source writes, each reply in one piece: Fluent Bit reads each with one read.

/// Appends a string.
pub fn text(text: &str, into: &mut Vec<u8>) {
    let length = text.len().min(usize::from(u16::MAX));
    match length {
        0..32 => into.push(0xa0 | length as u8),
        _ => {
            into.push(0xda);
            into.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    into.extend_from_slice(&text.as_bytes()[..length]);
}

/// Appends bytes, of which there are fewer than 256.
pub fn binary<const LENGTH: usize>(bytes: &[u8; LENGTH], into: &mut Vec<u8>) {
    const { assert!(LENGTH < 256) };
    into.extend_from_slice(&[0xc4, LENGTH as u8]);
    into.extend_from_slice(bytes);
}

pub fn truth(truth: bool, into: &mut Vec<u8>) {
    into.push(if truth { 0xc3 } else { 0xc2 });
}

/// Appends the acknowledgement of `chunk`, a value as it was encoded.
pub fn ack(chunk: &[u8], into: &mut Vec<u8>) {
    into.push(0x81);
    text("ack", into);
    into.extend_from_slice(chunk);
}
