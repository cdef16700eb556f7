"""A dark picture in H.264, for platforms: what stands in where nobody is seen, or in a codec that they do not take."""

import base64
import zlib

DARK = zlib.decompress(
    base64.b64decode(
        "eNpjYGBgTHc6YLRMkNFB7IUDAwMzA5DgWXyMpyWBASiXccKJedIJECu1o0l+sggDC0/+vt/vyUS/Xq/bNYpG0SgaRaNoFI2iUTSK"
        "RhG5aA8AXe09+g=="
    )
)
"""A key frame of constrained baseline, 1280 by 720, with its parameter sets (annex B): black, by x264 at QP 40."""
