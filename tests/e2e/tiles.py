"""What tiles of a replay show, side by side, and how far they are from the sound: functions to run in its page."""

from __future__ import annotations

TILES = """() => [...document.querySelectorAll('[data-testid=grid-video]')].map((video) => {
  const canvas = document.createElement('canvas');
  canvas.width = 16; canvas.height = 9;
  const context = canvas.getContext('2d');
  if (video.readyState >= 2) context.drawImage(video, 0, 0, 16, 9);
  const tile = video.closest('[data-testid=grid-tile]').dataset;
  return [tile.person + ' ' + tile.source, ...context.getImageData(8, 4, 1, 1).data].slice(0, 4);
})"""
SETTLED = """() => [...document.querySelectorAll('[data-testid=grid-video]')].every(
  (video) => video.readyState >= 2 && !video.seeking)"""
DRIFT = """async (seconds) => {
  const clock = document.querySelector('[data-testid=replay-video]'), from = clock.currentTime, seen = [];
  while (clock.currentTime < from + seconds) {
    await new Promise((next) => setTimeout(next, 50));
    for (const video of document.querySelectorAll('[data-testid=grid-video]'))
      if (video.readyState >= 2 && !video.seeking) seen.push(Math.abs(video.currentTime - clock.currentTime));
  }
  return seen.sort((a, b) => a - b);
}"""


def faces(tiles: list[list[object]]) -> dict[object, str]:
    """Which tile shows which colour."""
    names = {0: "red", 1: "green", 2: "blue"}
    return {who: names[max(range(3), key=lambda one: int(str(rgb[one])))] for who, *rgb in tiles}
