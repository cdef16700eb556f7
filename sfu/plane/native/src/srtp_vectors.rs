//! The vectors of RFC 3711, appendix B, and RFC 7714, sections 16 and 17.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

const TEXT: &str = "47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
const SALT: &str = "517569642070726f2071756f";

/// With session keys given, as the vectors of RFC 7714 have them.
fn session(algorithm: &'static aead::Algorithm, key: &[u8], index: u32) -> Srtp {
    let cipher = || Cipher::Gcm {
        key: aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, key).unwrap()),
        salt: bytes(SALT).try_into().unwrap(),
    };
    let mut srtp = Srtp {
        rx: (cipher(), cipher()),
        tx: (cipher(), cipher()),
        heard: HashMap::new(),
        said: Vec::new(),
        said_by_ssrc: HashMap::new(),
    };
    let slot = srtp.slot(0x4d617273);
    srtp.said[slot].sent = index - 1;
    srtp
}

fn rtp_vector(algorithm: &'static aead::Algorithm, key: &[u8], sealed: &str) {
    let mut srtp = session(algorithm, key, 1);
    let plain = bytes(&format!("8040f17b 8041f8d3 5501a0b2 {TEXT}"));
    let mut arena = plain.clone();
    let slot = srtp.slot(0x5501a0b2);
    srtp.seal_rtp(slot, &mut arena, 0, 12).unwrap();
    assert_eq!(arena, bytes(&format!("8040f17b 8041f8d3 5501a0b2 {sealed}")));
    let length = srtp.open_rtp(&mut arena).unwrap();
    assert_eq!(&arena[..length], plain);
}

#[test]
fn rfc_3711_appendix_b2_key_stream() {
    let key = bytes("2B7E151628AED2A6ABF7158809CF4F3C");
    let salt: [u8; 14] = bytes("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let mut stream = [0u8; 48];
    keystream(&key, &cm_iv(&salt, 0, 0), &mut stream);
    let expected = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(stream.as_slice(), bytes(expected));
}

#[test]
fn rfc_3711_appendix_b3_key_derivation() {
    let (master, salt) = (bytes("E1F97A0D3E018BE0D64FA32C06DE4139"), bytes("0EC675AD498AFEEBB6960B3AABE6"));
    let made = |label: u8, size: usize| {
        let mut out = vec![0; size];
        derive(&master, &salt, label, &mut out);
        out
    };
    assert_eq!(made(0, 16), bytes("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(made(2, 14), bytes("30CBBC08863D8C85D49DB34A9AE1"));
    let auth = "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098
                6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2";
    assert_eq!(made(1, 94), bytes(auth));
}

#[test]
fn rfc_7714_section_16_1_1() {
    let key: Vec<u8> = (0..16).collect();
    rtp_vector(
        &aead::AES_128_GCM,
        &key,
        "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
    );
}

#[test]
fn rfc_7714_section_16_2_1() {
    let key: Vec<u8> = (0..32).collect();
    rtp_vector(
        &aead::AES_256_GCM,
        &key,
        "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
    );
}

#[test]
fn rfc_7714_section_17_1() {
    let key: Vec<u8> = (0..16).collect();
    let mut srtp = session(&aead::AES_128_GCM, &key, 0x5d4);
    let plain = bytes(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
         deadbeef deadbeef deadbeef deadbeef deadbeef",
    );
    let mut arena = plain.clone();
    srtp.seal_rtcp(&mut arena, 0).unwrap();
    let sealed = bytes(
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda
         4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
    );
    assert_eq!(arena, sealed);
    let length = srtp.open_rtcp(&mut arena).unwrap();
    assert_eq!(&arena[..length], plain);
}
