//! What lies in a buffer one behind the other, each as long as its own beginning says.

/// The pieces of `bytes`, of which `length` tells how long the first is; at last its fault, if what follows is none.
pub fn run<F>(
    bytes: &[u8],
    length: impl Fn(&[u8]) -> Result<usize, F>,
) -> impl Iterator<Item = Result<&[u8], F>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let piece = length(rest).map(|length| {
            let (piece, behind) = rest.split_at(length);
            rest = behind;
            piece
        });
        if piece.is_err() {
            rest = &[];
        }
        Some(piece)
    })
}
