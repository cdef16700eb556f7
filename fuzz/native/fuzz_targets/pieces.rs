//! Inputs that are several packets: a control byte, a length and so many bytes, again and again. `fuzz/pieces.py` cuts
//! them in the same way.

pub fn pieces(mut data: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let [control, length, rest @ ..] = data {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(*length)));
        found.push((*control, piece));
        data = after;
    }
    found
}
