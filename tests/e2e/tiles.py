"""Whether tiles of a replay show these colours, side by side, and how far they are from the sound: JavaScript."""

from __future__ import annotations

SHOWN = """(wanted) => {
const tiles = [...document.querySelectorAll('[data-testid=grid-video]')].map((video) => {
  const canvas = document.createElement('canvas');
  canvas.width = 16; canvas.height = 9;
  const context = canvas.getContext('2d');
  if (video.readyState >= 2) context.drawImage(video, 0, 0, 16, 9);
  const tile = video.closest('[data-testid=grid-tile]').dataset;
  const parts = [...context.getImageData(8, 4, 1, 1).data].slice(0, 3);
  const colour = ['red', 'green', 'blue'][parts.indexOf(Math.max(...parts))];
  return [tile.person + ' ' + tile.source, Math.max(...parts) > 100 ? colour : 'dark'];
});
return JSON.stringify(tiles.sort()) === JSON.stringify(Object.entries(wanted).sort());
}"""
DRIFT = """async (seconds) => {
  const clock = document.querySelector('[data-testid=replay-video]'), from = clock.currentTime, seen = [];
  while (clock.currentTime < from + seconds) {
    await new Promise((next) => setTimeout(next, 50));
    for (const video of document.querySelectorAll('[data-testid=grid-video]'))
      if (video.readyState >= 2 && !video.seeking) seen.push(Math.abs(video.currentTime - clock.currentTime));
  }
  return seen.sort((a, b) => a - b);
}"""
