// Prints what a browser must fetch before the first page is usable, gzipped: `npm run size` after `npm run build`.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const manifest = JSON.parse(readFileSync('static/manifest.json', 'utf8'));
const pages = process.argv.slice(2);
const wanted = pages.length ? pages : ['src/pages/join/index.svelte'];
const files = new Map();
const add = (name) => files.set(name, readFileSync(`static/${name}`));
const seen = new Set();
const visit = (key) => {
  if (seen.has(key)) return;
  seen.add(key);
  const chunk = manifest[key];
  add(chunk.file);
  for (const css of chunk.css ?? []) add(css);
  for (const next of chunk.imports ?? []) visit(next);
};
visit('index.html');
for (const page of wanted) visit(page);
for (const entry of Object.values(manifest)) if (/latin-(400|700).*woff2$/.test(entry.file)) add(entry.file);
for (const chunk of Object.values(manifest)) for (const asset of chunk.assets ?? []) if (/woff2$/.test(asset)) add(asset);
files.set('index.html', readFileSync('static/index.html'));
let total = 0;
for (const [name, bytes] of files) {
  const size = /woff2$/.test(name) ? bytes.length : gzipSync(bytes, { level: 9 }).length;
  total += size;
  console.log(String(size).padStart(8), name);
}
console.log(String(total).padStart(8), `total for ${wanted.join(', ')} (limit 100000)`);
if (total > 100_000) process.exitCode = 1;
