"""Draws and encodes the pictures of the demo guests. For developers: needs Pillow besides what Consilium needs.

``assets/<guest>.ivf``: VP9, 640 x 360, 15 pictures a second, a loop of 12 s with a keyframe every 2 s. Everything that
moves has a whole number of turns in the loop, so that its end meets its beginning.
"""

from __future__ import annotations

import colorsys
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, RATE, SECONDS, KEYFRAME_SECONDS = 640, 360, 15, 12, 2
ASSETS = Path(__file__).parent / "assets"
GUESTS = {"helen": ("HC", 0.47), "james": ("JO", 0.60), "ana": ("AR", 0.05)}  # initials, hue
FINE = 2  # drawn this many times larger, then scaled down: smooth edges

Colour = tuple[int, int, int]


def colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255)


def background(hue: float, turn: float) -> Any:
    """A slow light that wanders over a dark wall."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    light_x = WIDTH * (0.5 + 0.22 * math.cos(turn))
    light_y = HEIGHT * (0.30 + 0.10 * math.sin(turn))
    near = np.exp(-(((x - light_x) / 330) ** 2 + ((y - light_y) / 250) ** 2))[..., None]
    dark, bright = np.array(colour(hue, 0.55, 0.20)), np.array(colour(hue, 0.42, 0.46))
    return Image.fromarray((dark + (bright - dark) * near).astype(np.uint8))


def picture(initials: str, hue: float, moment: float) -> Any:
    """The picture at `moment`, 0 to 1 of the loop."""
    turn = 2 * math.pi * moment
    image = background(hue, turn).resize((WIDTH * FINE, HEIGHT * FINE), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    centre_x, centre_y = WIDTH * FINE // 2, int(HEIGHT * FINE * 0.42)
    radius = int(FINE * (82 + 2 * math.sin(3 * turn)))
    for grow, strength in ((34, 0.40), (16, 0.50)):
        ring = int(radius + FINE * grow * (0.85 + 0.15 * math.sin(3 * turn - grow / 20)))
        box = (centre_x - ring, centre_y - ring, centre_x + ring, centre_y + ring)
        draw.ellipse(box, outline=colour(hue, 0.35, strength + 0.15), width=FINE)
    box = (centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius)
    draw.ellipse(box, fill=colour(hue, 0.60, 0.62))
    font = ImageFont.load_default(size=66 * FINE)
    draw.text((centre_x, centre_y), initials, font=font, fill=(255, 255, 255), anchor="mm")
    for wave in range(3):
        points = []
        for x in range(0, WIDTH * FINE + 1, 4 * FINE):
            along = x / (WIDTH * FINE)
            swell = math.sin(math.pi * along) * (0.7 + 0.3 * math.sin(2 * turn + wave))
            y = math.sin(2 * math.pi * along * (2 + wave) - (wave + 2) * turn) * swell * (16 - 3 * wave)
            points.append((x, FINE * (HEIGHT * 0.84 + y)))
        draw.line(points, fill=colour(hue, 0.30, 0.80 - 0.17 * wave), width=FINE * 3, joint="curve")
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def write(path: Path, initials: str, hue: float) -> None:
    options = {"crf": "28", "b": "0", "deadline": "good", "cpu-used": "3", "row-mt": "0", "auto-alt-ref": "0"}
    options |= {"lag-in-frames": "0", "g": str(RATE * KEYFRAME_SECONDS), "keyint_min": str(RATE * KEYFRAME_SECONDS)}
    with av.open(str(path), "w", format="ivf") as container:
        stream = container.add_stream("libvpx-vp9", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for number in range(RATE * SECONDS):
            pixels = np.asarray(picture(initials, hue, number / (RATE * SECONDS)), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    for guest, (initials, hue) in GUESTS.items():
        write(ASSETS / f"{guest}.ivf", initials, hue)


if __name__ == "__main__":
    main()
