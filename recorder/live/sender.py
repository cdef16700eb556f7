"""The process that speaks RTMP: packets on its standard input, FLV to the address that stands first there.

A process of its own because FFmpeg connects while PyAV holds the interpreter's lock: a platform that does not answer
would stop the whole server. The address comes on the pipe, for it has a key in it and arguments can be read by others.
"""

from __future__ import annotations

import io
import struct
import sys
from fractions import Fraction
from typing import IO, Any

import av
import msgspec

from recorder.fmp4 import Sample, fragment, init_segment
from recorder.parts import MediaFileInfo

HEAD = struct.Struct(">?QI?I")
"""Of a packet: whether it is of the picture, its time, its duration, whether it is a key frame, its bytes."""
_SIZE = struct.Struct(">I")
RATES = {True: 1000, False: 48_000}
"""Units of time in a second, of the picture and of the sound."""


class Beginning(msgspec.Struct, frozen=True):
    """Where it goes, and what the sound's decoder needs."""

    url: str
    sound: MediaFileInfo


def encode_beginning(beginning: Beginning) -> bytes:
    """As it stands first."""
    data = msgspec.json.encode(beginning)
    return _SIZE.pack(len(data)) + data


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) != size:
        raise EOFError
    return data


def _open(beginning: Beginning) -> Any:
    output = av.open(beginning.url, "w", format="flv", options={"flvflags": "no_duration_filesize"})
    video: Any = output.add_mux_stream("h264", width=1280, height=720)
    video.time_base = Fraction(1, RATES[True])
    shape = io.BytesIO(init_segment(beginning.sound.config) + fragment(1, [Sample(0, 1024, True, b"\0" * 8)]))
    with av.open(shape) as opened:
        audio: Any = output.add_stream_from_template(opened.streams.audio[0], opaque=True)
    audio.time_base = Fraction(1, RATES[False])
    return output


def send(pipe: IO[bytes], told: IO[bytes]) -> None:
    """Until the pipe ends. One byte is told for each picture that went out. Raises what FFmpeg raises."""
    beginning = msgspec.json.decode(_exactly(pipe, _SIZE.unpack(_exactly(pipe, _SIZE.size))[0]), type=Beginning)
    with _open(beginning) as output:
        while head := pipe.read(HEAD.size):
            video, time, duration, key, size = HEAD.unpack(head)
            packet = av.Packet(_exactly(pipe, size))
            packet.stream = output.streams[0 if video else 1]
            packet.time_base = Fraction(1, RATES[video])
            packet.pts = packet.dts = time
            packet.duration = duration
            packet.is_keyframe = key
            output.mux(packet)
            if video:
                told.write(b".")
                told.flush()


if __name__ == "__main__":
    try:
        send(sys.stdin.buffer, sys.stdout.buffer)
    except (av.FFmpegError, OSError, EOFError):
        sys.exit(1)
