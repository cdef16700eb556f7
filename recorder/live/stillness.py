"""What stands in where nobody is seen or heard: a dark picture, a silent packet."""

from __future__ import annotations

import functools

from recorder.fmp4 import init_segment
from recorder.parts import MediaFileInfo
from recorder.playlist import FILLER, dark_frame

SILENT = {"OPUS": b"\xf8\xff\xfe", "AAC": b"\x00\xc8\x00\x80\x23\x80"}
"""20 ms of Opus (RFC 6716: CELT, mono) and 1024 samples of AAC-LC, mono, by the codec's name."""


@functools.cache
def dark_file() -> MediaFileInfo:
    """Where the dark picture would lie: it is sent from memory."""
    config, _ = dark_frame()
    head = len(init_segment(config))
    return MediaFileInfo(f"{FILLER}live", head, config.name, config.codec, config.width, config.height, config.record)
