//! A whole plane: pieces are packets of a publisher and of two viewers, sealed or not, and time goes by. What leaves
//! fits a datagram, and nothing panics. `fuzz/room.py` does the same to both planes.
#![no_main]

use _native::incoming::SourceSpec;
use _native::outbox::Route;
use _native::outgoing::SinkSpec;
use _native::plane::Plane;
use _native::rtp::ExtensionIds;
use _native::srtp::{Profile, Srtp, MAX_DATAGRAM};
use libfuzzer_sys::fuzz_target;

mod pieces;
mod sealed;

const PEERS: [&str; 3] = ["p", "s", "t"];

fn source(id: &str, codec: &str, payload_type: u8, ssrc: u32) -> SourceSpec {
    let video = codec != "OPUS";
    let extensions = ExtensionIds {
        mid: Some(4),
        transport_cc: video.then_some(3),
        audio_level: (!video).then_some(1),
        dependency_descriptor: video.then_some(12),
        ..ExtensionIds::default()
    };
    SourceSpec {
        id: id.into(),
        video,
        codec: codec.into(),
        clock_rate: if video { 90_000 } else { 48_000 },
        mid: id.into(),
        payload_type,
        rtx_payload_type: video.then_some(payload_type + 1),
        ssrc: Some(ssrc),
        rtx_ssrc: video.then_some(ssrc + 1),
        extensions,
        nack: true,
        red_payload_type: (!video).then_some(63),
        ..SourceSpec::default()
    }
}

fn sink(id: &str, source: &str, ssrc: u32, rtx: bool, extensions: ExtensionIds) -> SinkSpec {
    SinkSpec {
        id: id.into(),
        source: source.into(),
        mid: id.into(),
        payload_type: 120,
        rtx_payload_type: rtx.then_some(121),
        ssrc,
        rtx_ssrc: rtx.then_some(ssrc + 1),
        extensions,
        cname: "someone".into(),
        nack: true,
        red_payload_type: (!rtx).then_some(64),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut plane = Plane::new(7, "cname");
    let mut far = Vec::new();
    for (number, peer) in PEERS.iter().enumerate() {
        let (rx, tx) = (vec![number as u8; 28], vec![100 + number as u8; 28]);
        let near = Srtp::new(Profile::Gcm128, &rx, &tx).expect("keys");
        plane.add_transport(peer, near, Route::Handle(number as u64)).expect("first of its name");
        far.push(Srtp::new(Profile::Gcm128, &tx, &rx).expect("keys"));
    }
    let counted = ExtensionIds { mid: Some(7), transport_cc: Some(1), ..ExtensionIds::default() };
    let plain = ExtensionIds { mid: Some(7), audio_level: Some(8), ..ExtensionIds::default() };
    for (number, name) in ["VP8", "VP9", "H264", "AV1", "OPUS", "other"].into_iter().enumerate() {
        let (n, codec) = (number as u32, if name == "other" { "VP8" } else { name });
        plane.add_source("p", source(name, codec, 96 + 2 * number as u8, 1000 + 10 * n)).expect("source");
        let _ = plane.source_mut(name).map(|source| source.set_tap(Some(u64::from(n))));
        if name == "other" {
            continue;
        }
        let rtx = codec != "OPUS";
        plane.add_sink("s", sink(&format!("s{n}"), codec, 5000 + 10 * n, rtx, plain)).expect("sink");
        let wants = ExtensionIds { dependency_descriptor: matches!(codec, "H264" | "AV1").then_some(5), ..counted };
        plane.add_sink("t", sink(&format!("t{n}"), codec, 6000 + 10 * n, rtx && n != 1, wants)).expect("sink");
    }
    let _ = plane.transport_mut("t").map(|transport| transport.wanted_bitrate = 2_000_000.0);
    let mut now = 1000.0;
    for (control, piece) in pieces::pieces(data) {
        let (peer, kind) = (usize::from(control & 3) % 3, control >> 2 & 7);
        now += [0.0, 0.001, 0.02, 0.3, 0.005, 0.005, 1.1, 0.01][usize::from(control >> 5)];
        let mut datagram = piece.to_vec();
        match kind {
            0..=2 => {
                sealed::seal(&mut far[peer], &mut datagram, false);
            }
            3..=4 => {
                sealed::seal(&mut far[peer], &mut datagram, true);
            }
            5 => {}
            6 => plane.tick(now),
            _ => {
                let name = format!("s{}", peer);
                let byte = piece.first().copied().unwrap_or(0);
                match byte & 7 {
                    0 => plane.pause_sink(&name, true),
                    1 => plane.pause_sink(&name, false),
                    2 => plane.pause_source("VP8", true),
                    3 => plane.pause_source("VP8", false),
                    4 => {
                        let _ = plane.aim_sink("s0", "other", Default::default());
                    }
                    5 => {
                        for (aimed, name) in [("s1", "VP9"), ("t2", "H264"), ("t3", "AV1")] {
                            let layers = _native::layers::Layers { spatial: Some(0), temporal: Some(peer as i32) };
                            let _ = plane.aim_sink(aimed, name, layers);
                        }
                    }
                    6 => {
                        let _ = plane.aim_sink("s0", "VP8", Default::default());
                    }
                    _ if byte & 8 != 0 => {
                        let _ = plane.transport_mut("t").map(|transport| transport.redundancy = byte & 16 != 0);
                    }
                    _ => {
                        plane.request_keyframe("H264", now);
                    }
                }
            }
        }
        if kind < 6 {
            let key = plane.transport_names.get(PEERS[peer]).copied();
            plane.receive(key, &mut datagram, now);
        }
        assert!(plane.out.entries.iter().all(|entry| (entry.end - entry.start) as usize <= MAX_DATAGRAM));
        plane.out.clear();
    }
    plane.tick(now + 1.5);
    plane.drain();
});
