"""What the recorder reads: journals, codec headers, payloads."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fuzz.pieces import pieces
from recorder import bitstream, journal
from recorder.bitstream import BitstreamError
from recorder.depacketise import depacketiser
from recorder.events import read_log
from sfu.taps import Codec, TapPacket


def journals(data: bytes) -> None:
    """A mode, then a file as it is, or (1) pieces that are the bodies of whole records."""
    if not data:
        return
    text = data[1:]
    if data[0] & 1:
        text = journal.MAGIC + b"".join(journal.record(piece) for _, piece in pieces(text))
    records = list(journal.read(text))
    offsets = [offset for offset, _ in records]
    bodies = [body for _, body in records]
    assert offsets == sorted(offsets) and (not offsets or offsets[-1] <= len(text))
    if records:
        again = journal.MAGIC + b"".join(map(journal.record, bodies))
        assert text[: offsets[-1]] == again, "what was read is what is there"
        assert [body for _, body in journal.read(text[: offsets[-1] - 1])] == bodies[:-1]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "journal").mkdir()
        path = Path(folder) / "journal" / "events"
        path.write_bytes(text)
        for packet in journal.packets(path, "track"):
            assert repr(journal.unpack("track", journal.pack(packet))) == repr(packet)  # times may be NaN
        read_log(Path(folder))


def bitstreams(data: bytes) -> None:
    """A byte that picks the codec, then a frame or its headers."""
    if not data:
        return
    body = data[1:]
    try:
        config = read(data[0] % 6, body)
    except BitstreamError:
        return
    if config is not None:
        assert config.codec and 0 < config.width <= 1 << 16 and 0 < config.height <= 1 << 16


def read(kind: int, body: bytes) -> bitstream.CodecConfig | None:
    if kind == 0:
        return bitstream.vp8_config(body)
    if kind == 1:
        return bitstream.vp9_config(body)
    if kind == 2:
        sps, _, pps = body.partition(b"\0\0\1")
        return bitstream.h264_config(sps, [pps])
    if kind == 3:
        return bitstream.av1_config(body)
    if kind == 4:
        value, end = bitstream.leb128(body, 0)
        assert end <= 8 and bitstream.leb128(bitstream.leb128_bytes(value), 0)[0] == value
        return None
    assert 0 < bitstream.opus_duration(body) <= 5760
    return None


CODECS = ("VP8", "VP9", "H264", "AV1", "OPUS")


def payloads(data: bytes) -> None:
    """A byte that picks the codec, then packets: the control byte says whether it ends a frame (1) or a new one begins
    (2), whether packets were lost before it (4), and whether it is as large as packets are (8), many times (16)."""
    if not data:
        return
    name = CODECS[data[0] % 5]
    parameters = {"sprop-parameter-sets": "Z0IAH5WoFAFuQA==,aM48gA=="} if data[0] & 0x80 else {}
    target = depacketiser(Codec(name, 90_000, parameters=parameters))
    assert target is not None
    sequence = timestamp = 0
    for control, piece in pieces(data[1:]):
        timestamp += 3000 if control & 2 else 0
        sequence += 5 if control & 4 else 0
        body = piece + bytes(1100) if control & 8 else piece
        for _ in range(100 if control & 16 else 1):
            sequence += 1
            marker = bool(control & 1)
            for frame in target.push(TapPacket("t", sequence, timestamp, 0.0, 0.0, marker, False, 0, body)):
                assert frame.data and (frame.config is not None) == frame.key
