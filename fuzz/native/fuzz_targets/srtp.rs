//! Opening datagrams with known keys: pieces, as they are, sealed, or sealed and then damaged.
#![no_main]

use _native::srtp::{Profile, Srtp, MAX_DATAGRAM};
use libfuzzer_sys::fuzz_target;

mod pieces;
mod sealed;

fuzz_target!(|data: &[u8]| {
    let [profile, rest @ ..] = data else { return };
    let (profile, size) =
        [(Profile::Gcm128, 28), (Profile::Gcm256, 44), (Profile::Cm80, 30)][usize::from(*profile) % 3];
    let (one, other) = (vec![1; size], vec![2; size]);
    let mut near = Srtp::new(profile, &one, &other).expect("keys");
    let mut far = Srtp::new(profile, &other, &one).expect("keys");
    for (control, piece) in pieces::pieces(rest) {
        let rtcp = control & 1 == 1;
        let mut datagram = piece.to_vec();
        let whole = control & 2 != 0 && sealed::seal(&mut far, &mut datagram, rtcp);
        if let (true, Some(byte)) = (control & 4 != 0, datagram.get_mut(usize::from(control >> 3))) {
            *byte ^= 0x41;
        }
        if !(12..=MAX_DATAGRAM).contains(&datagram.len()) {
            continue;
        }
        let opened = if rtcp { near.open_rtcp(&mut datagram) } else { near.open_rtp(&mut datagram) };
        if let (Ok(length), true, 0) = (opened, whole, control & 4) {
            assert_eq!(&datagram[..length], piece);
        }
    }
});
