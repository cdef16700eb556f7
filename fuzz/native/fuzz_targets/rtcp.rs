//! Compound packets of every kind; what is understood of NACKs and of transport feedback survives being written again.
#![no_main]

use _native::rtcp::{nack, parse_compound, Packet};
use libfuzzer_sys::fuzz_target;

fn only(data: &[u8]) -> Packet {
    let mut packets = parse_compound(data).expect("what we write is well-formed");
    assert_eq!(packets.len(), 1);
    packets.remove(0)
}

fuzz_target!(|data: &[u8]| {
    let Ok(packets) = parse_compound(data) else { return };
    for packet in packets {
        match packet {
            Packet::Nack { media, sequences } => {
                // A mask may name what the next one names again: what we write has each number once or more.
                let Packet::Nack { media: same, sequences: again } = only(&nack(1, media, &sequences)) else {
                    panic!()
                };
                assert!(media == same && sequences.iter().all(|number| again.contains(number)));
            }
            Packet::Feedback(told) => {
                let steps = told.arrivals.iter().scan(0, |before, (_, at)| Some(at - std::mem::replace(before, *at)));
                if steps.into_iter().all(|step| i16::try_from(step).is_ok()) {
                    let Packet::Feedback(again) = only(&told.serialize(1, 2)) else { panic!() };
                    assert_eq!((told.base, told.count, &told.arrivals), (again.base, again.count, &again.arrivals));
                }
            }
            Packet::Report(report) => assert!((0.0..1.0).contains(&report.fraction_lost)),
            Packet::Remb { bitrate } => assert!(bitrate.is_finite() && bitrate >= 0.0),
            _ => {}
        }
    }
});
