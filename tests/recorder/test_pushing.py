"""What is pushed to another platform: what may be a destination, what goes out when, what is put right on the way."""

from __future__ import annotations

import contextlib
import queue
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from recorder.fmp4 import Sample, fragment
from recorder.live.aac import aac_config
from recorder.live.darkness import DARK
from recorder.live.destination import BadDestination, Destination, reachable
from recorder.live.line import CHUNK, HANDSHAKE, FirstCommand
from recorder.live.pushing import LONGEST_WAIT, STEADY_MS, Backoff, Course, Push, Told, annex_b
from recorder.live.segmenter import Part, Segment
from recorder.live.stillness import SILENT, dark_file
from recorder.parts import MediaFileInfo

CAMERA = MediaFileInfo("camera", 0, "H264", "avc1.42e01f", 640, 360, b"")
SOUND = MediaFileInfo("sound", 0, "AAC", "mp4a.40.2", 0, 0, b"")


def picture(time: int, key: bool = False, file: MediaFileInfo = CAMERA) -> Part:
    data = fragment(1, [Sample(time, 40, key, b"\0\0\0\2\x65\x88")])
    return Part(0, 0, file, time, time + 40, key, data)


def sound(time: int) -> Part:
    return Part(0, 0, SOUND, time, time + 21, True, fragment(1, [Sample(time * 48, 1024, True, b"aac")]))


@pytest.mark.parametrize(
    ("address", "key", "origin", "target"),
    [
        ("rtmp://live.example.org/app", "k-1", "rtmp://live.example.org", "/app/k-1"),
        ("rtmps://live.example.org:443/rtmp/", "a?b=1", "rtmps://live.example.org", "/rtmp/a?b=1"),
        ("rtmp://[2001:db8::1]:1936/app/whole", "", "rtmp://[2001:db8::1]:1936", "/app/whole"),
    ],
)
def test_addresses_as_platforms_give_them(address: str, key: str, origin: str, target: str) -> None:
    found = Destination.parse(address, key)
    assert (found.origin, found.target) == (origin, target)
    assert key not in repr(found) or not key


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("file:///etc/passwd", "k"),
        ("http://live.example.org/app", "k"),
        ("concat:rtmp://a/b", "k"),
        ("rtmp,listen,1:rtmp://a/b", "k"),
        ("rtmpt://live.example.org/app", "k"),
        ("rtmp://live.example.org/app", "k k"),
        ("rtmp://live.example.org/app", "k\nlisten=1"),
        ("rtmp://live.example.org/app live=1", "k"),
        ("rtmp://user:word@live.example.org/app", "k"),
        ("rtmp://live.example.org", "k"),
        ("rtmp://live.example.org/app", ""),
        ("rtmp://live.example.org:99999/app", "k"),
        ("rtmp://-x/app", "k"),
        ("rtmp://live.example.org/app#x", "k"),
        ("rtmp://[::1/app", "k"),
        ("", "k"),
        ("rtmp://live.example.org/app", "k" * 600),
    ],
)
def test_what_is_no_destination(address: str, key: str) -> None:
    with pytest.raises(BadDestination) as caught:
        Destination.parse(address, key)
    assert len(key) < 2 or key not in str(caught.value)


def test_addresses_of_private_networks_are_for_those_who_want_them() -> None:
    inside = [
        "127.0.0.1", "10.1.2.3", "192.168.0.9", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "ff02::1",
    ]  # fmt: skip
    outside = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]
    assert reachable([*inside, *outside], private=False) == outside
    assert reachable([*inside, *outside], private=True) == [*inside, *outside]


def test_it_begins_with_a_key_frame_and_sound_follows() -> None:
    course = Course(DARK)
    assert list(course.take("b", sound(0))) == [] and course.sound == SOUND
    assert list(course.take("v", picture(0))) == []
    (first,) = course.take("v", picture(40, key=True))
    assert (first.video, first.time, first.key, first.data) == (True, 40, True, b"\0\0\0\1\x65\x88")
    assert [one.time for one in course.take("b", sound(40))] == [40 * 48]
    assert [one.time for one in course.take("v", picture(80))] == [80]
    course.skip()
    assert list(course.take("v", picture(120))) == [] and list(course.take("b", sound(120))) == []
    assert [one.key for one in course.take("v", picture(160, key=True))] == [True]


def test_what_came_in_parts_does_not_come_again() -> None:
    course, part = Course(DARK), picture(0, key=True)
    whole = Segment(0, CAMERA, 0, 40, 0, len(part.data), (), 1, part.data)
    assert len(list(course.take("v", part))) == 1
    assert list(course.take("v", whole)) == []
    assert [one.time for one in course.take("v", replace(whole, parts=0, data=picture(40, key=True).data))] == [40]
    assert list(course.take("a", sound(0))) == [] == list(course.take("c-pt-", sound(0)))


def test_another_codec_is_dark_and_said() -> None:
    course, vp9 = Course(DARK), msgspec.structs.replace(CAMERA, codec_name="VP9")
    out = [one for time in range(0, 1200, 40) for one in course.take("v", picture(time, time == 0, vp9))]
    assert [one.time for one in out] == [0, 520, 1040] and {one.data for one in out} == {DARK} and course.codec == "VP9"
    # H.264 again: from its key frame on. What nobody sends is dark too, and no other codec.
    assert list(course.take("v", picture(1200, True))) and course.codec is None
    (still,) = course.take("v", picture(1240, True, dark_file()))
    assert still.data == DARK and course.codec is None


def test_after_a_dark_picture_h264_waits_for_its_key_frame() -> None:
    course = Course(DARK)
    assert list(course.take("v", picture(0, True, dark_file())))
    assert list(course.take("v", picture(500))) == []
    assert [one.data for one in course.take("v", picture(540, True))] == [b"\0\0\0\1\x65\x88"]


def test_a_torn_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="cut short"):
        annex_b(b"\0\0\0\5\x65")
    course = Course(DARK)
    torn = replace(picture(0, True), data=fragment(1, [Sample(0, 40, True, b"\0\0\0\5\x65")]))
    assert list(course.take("v", torn)) == [] == list(course.take("v", picture(40)))
    assert list(course.take("v", picture(80, True)))


def test_it_waits_longer_each_time_until_a_connection_was_good() -> None:
    backoff = Backoff()
    assert [backoff.failed(0) for _ in range(7)] == [1, 2, 4, 8, 16, LONGEST_WAIT, LONGEST_WAIT]
    assert [backoff.failed(STEADY_MS), backoff.failed(0)] == [1, 2]


def command(url: str) -> bytes:
    name = struct.pack(">BH", 2, 7) + b"connect" + b"\0" + struct.pack(">d", 1.0)
    pairs = b"\0\x05tcUrl\x02" + struct.pack(">H", len(url)) + url.encode() + b"\0\x08flashVer\x02\0\x03FME"
    return name + b"\3" + b"\0\3app\2\0\3app" + pairs + b"\0\0\x09"


def chunked(body: bytes) -> bytes:
    pieces = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)]
    return b"\3\0\0\0" + len(body).to_bytes(3, "big") + b"\x14\0\0\0\0" + b"\xc3".join(pieces)


@pytest.mark.parametrize("step", [1, 7, 1000, 100_000])
def test_the_first_command_names_the_platform_however_it_comes(step: int) -> None:
    here, there = "rtmp://127.0.0.1:40001", "rtmps://a-long-name." + "x" * 120 + ".example.org"
    shake = bytes(range(256)) * 12 + b"\3"
    assert len(shake) == HANDSHAKE
    sent = shake + chunked(command(f"{here}/app")) + b"and then media"
    first, out = FirstCommand(here, there), b""
    for at in range(0, len(sent), step):
        out += first.feed(sent[at : at + step])
        assert len(out) >= min(at + step, HANDSHAKE), "the handshake does not wait"
    assert out == shake + chunked(command(f"{there}/app")) + b"and then media"


def test_what_is_no_rtmp_is_refused() -> None:
    with pytest.raises(ValueError, match="no command"):
        FirstCommand("a", "b").feed(bytes(HANDSHAKE) + b"GET / HTTP/1.1\r\n\r\n")


def certificate(folder: Path) -> Path:
    """For ``localhost``, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "localhost.pem"
    unsealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(unsealed + made.public_bytes(Encoding.PEM))
    return file


def carry(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def terminator(pem: Path, server: socket.socket, port: int) -> None:
    """TLS before an RTMP server, as in front of any; one connection after the other."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    with contextlib.suppress(OSError):
        while True:
            plain, _ = server.accept()
            # Closed where the receiver is not there yet: it is tried again.
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(plain, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", port)) as inner,
            ):
                threading.Thread(target=carry, args=(inner, outer), daemon=True).start()
                carry(outer, inner)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("trusted", [True, False])
def test_by_tls_only_to_whom_the_certificate_names(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, file = certificate(tmp_path), tmp_path / "taken.flv"
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    receiver = subprocess.Popen(
        [
            "ffmpeg",
            "-nostdin",
            "-v",
            "quiet",
            "-listen",
            "1",
            "-i",
            f"rtmp://127.0.0.1:{port}/app/key",
            "-c",
            "copy",
            file,
        ]
    )
    told: queue.Queue[Told] = queue.Queue()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=terminator, args=(pem, server, port), daemon=True).start()
        address = f"rtmps://localhost:{server.getsockname()[1]}/app"
        push = Push(Destination.parse(address, "key"), True, told.put)
        try:
            config = aac_config(b"\x11\x88")
            aac = MediaFileInfo("aac", 0, config.name, config.codec, 0, 0, config.record)
            for time in range(0, 1_000_000, 500):
                push.put("v", replace(picture(time, True, dark_file()), end=time + 500))
                frames = [Sample(time * 48 + n * 1024, 1024, True, SILENT["AAC"]) for n in range(23)]
                push.put("b", replace(sound(time), file=aac, data=fragment(1, frames)))
                with contextlib.suppress(queue.Empty):
                    now = told.get(timeout=0.05)
                    if now.state == ("live" if trusted else "failed") or now.reason == "private":
                        break
            assert now.state == "live" if trusted else now == Told("failed", "unreachable")
            push.finish()
            if trusted:
                assert push.join(30) and receiver.wait(30) == 0 and file.stat().st_size > 0
        finally:
            push.close()
            receiver.kill()
            receiver.wait()
    assert trusted or not file.exists()
