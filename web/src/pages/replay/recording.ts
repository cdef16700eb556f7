/** A recording as `/api/recordings/{id}` gives it (recorder/manifest.py) and what the page works out from it. Times in seconds here. */

import { Timeline } from './timeline';

export interface Manifest {
  id: string;
  room: string;
  title: string;
  purpose: string;
  startedBy: string;
  startedAt: string;
  duration: number;
  state: 'complete' | 'repaired' | 'failed';
  problem: string | null;
  people: { id: string; name: string }[];
  languages: string[];
  captions: Record<string, string>;
  transcript: SaidLine[];
  chat: { participant: string; name: string; text: string; at: number }[];
  speakers: { participant: string; start: number; end: number }[];
  master: string;
  files: Record<string, string>;
  bytes: number;
  /** Tracks whose pictures are still being converted. */
  pending: number[];
  /** Everybody's own; none where not all of it may be seen. Times in ms. */
  tracks: { index: number; participant: string; source: string; codec: string; opened: number; closed: number; files: string[] }[];
  chapters: { kind: ChapterKind; start: number; participant: string; name: string; text: string }[];
  /** Asked, and answered while it was recorded. */
  polls: Poll[];
  questions: { name: string | null; text: string; at: number; votes: number; answer: string | null; answeredBy: string | null }[];
  /** Who interpreted into which language, when; ms. */
  channels?: { language: string; participant: string; start: number; end: number }[];
  /** Names over the picture of what was broadcast. */
  thirds?: { participant: string; institution: string; start: number }[];
  /** Only this much of it may be seen; empty: everything. */
  kept: { start: number; end: number }[];
  /** It is a passage that was shared. */
  shared: boolean;
}

/** `guard`: by language, what a translation may have wrong. `heard` and `doubtful` are of the words as spoken, `typed`: a person wrote them. */
export interface SaidLine {
  segment: string;
  participant: string;
  name: string;
  source: string;
  start: number;
  end: number;
  texts: Record<string, string>;
  guard?: Record<string, string[]>;
  heard?: string | null;
  doubtful?: number[];
  typed?: boolean;
}

export type ChapterKind = 'speaker' | 'screen' | 'question' | 'agenda';

export interface Person {
  id: string;
  name: string;
  color: number;
}
export interface Line {
  segment: string;
  person: Person;
  source: string;
  start: number;
  end: number;
  texts: Record<string, string>;
  guard: Record<string, readonly string[]>;
  heard: string | null;
  doubtful: readonly number[];
  typed: boolean;
}
export interface Turn {
  person: Person;
  start: number;
  end: number;
}
export interface ChatLine {
  person: Person;
  text: string;
  at: number;
}
export interface Poll {
  text: string;
  choices: string[];
  counts: number[] | null;
  voters: number;
  at: number;
}

export interface Question {
  name: string | null;
  text: string;
  at: number;
  votes: number;
  answer: string | null;
  answeredBy: string | null;
}
export interface Chapter {
  kind: ChapterKind;
  person: Person;
  start: number;
  text: string;
}
export interface Recording {
  manifest: Manifest;
  timeline: Timeline;
  chapters: Chapter[];
  duration: number;
  people: Person[];
  lines: Line[];
  turns: Turn[];
  chat: ChatLine[];
  polls: Poll[];
  questions: Question[];
  thirds: Third[];
}
/** Somebody's name over the picture. */
export interface Third {
  person: Person;
  institution: string;
  start: number;
}
const THIRD_S = 6;

const PALETTE = 12;

/**
 * Names and colours once per person, seconds for milliseconds, everything in order of time; what may not be seen takes no time. Who
 * did not want their name beside their words has an id with a tilde, and is called `unnamed`. */
export function read(manifest: Manifest, unnamed = ''): Recording {
  const people = new Map<string, Person>();
  const person = (id: string, name = ''): Person => {
    const known = people.get(id);
    if (known) return known;
    const made = { id, name: name || (id.startsWith('~') ? unnamed : id), color: people.size % PALETTE };
    people.set(id, made);
    return made;
  };
  for (const one of manifest.people) person(one.id, one.name);
  const timeline = new Timeline(manifest.kept.map(({ start, end }) => ({ start: start / 1000, end: end / 1000 })));
  const at = (ms: number) => timeline.toPage(ms / 1000);
  const lines = manifest.transcript.map((line) => ({
    segment: line.segment,
    person: person(line.participant, line.name),
    source: line.source,
    start: at(line.start),
    end: at(line.end),
    texts: line.texts,
    guard: line.guard ?? {},
    heard: line.heard ?? null,
    doubtful: line.doubtful ?? [],
    typed: line.typed ?? false,
  }));
  const chat = manifest.chat.map((line) => ({ person: person(line.participant, line.name), text: line.text, at: at(line.at) }));
  const turns = manifest.speakers.map((turn) => ({ person: person(turn.participant), start: at(turn.start), end: at(turn.end) }));
  // Who asked a question need not have been in the room as a speaker, nor have given a name.
  const asker = (name: string): Person => ({ id: '', name, color: 0 });
  const chapters = manifest.chapters.map((one) => ({
    kind: one.kind,
    person: one.participant ? person(one.participant, one.name) : asker(one.name),
    start: at(one.start),
    text: one.text,
  }));
  return {
    manifest,
    timeline,
    chapters,
    duration: at(manifest.duration),
    people: [...people.values()],
    lines: lines.sort((a, b) => a.start - b.start || a.end - b.end),
    turns: join(turns.sort((a, b) => a.start - b.start)),
    polls: manifest.polls.map((one) => ({ ...one, at: at(one.at) })),
    questions: manifest.questions.map((one) => ({ ...one, at: at(one.at) })),
    thirds: (manifest.thirds ?? []).map((one) => ({ person: person(one.participant), institution: one.institution, start: at(one.start) })),
    chat: chat.sort((a, b) => a.at - b.at),
  };
}

/** Neighbouring turns of one person with at most `gap` seconds between them are one. */
export function join(turns: readonly Turn[], gap = 2): Turn[] {
  const joined: Turn[] = [];
  for (const turn of turns) {
    const last = joined.at(-1);
    if (last && last.person === turn.person && turn.start - last.end <= gap) last.end = Math.max(last.end, turn.end);
    else joined.push({ ...turn });
  }
  return joined;
}

export interface Words {
  text: string;
  language: string;
  translated: boolean;
  /** What the translation may have wrong. */
  guard: readonly string[];
  /** Words of `text`, by index, that were not heard clearly. */
  doubtful: readonly number[];
}

/** The text of a line in `language`, or in the language spoken when there is none; `translated` tells which. */
export function words(line: Line, language: string | null): Words {
  const wanted = language ?? line.source;
  const chosen = [wanted, line.source, ...Object.keys(line.texts)].find((tag) => line.texts[tag] !== undefined) ?? wanted;
  const translated = chosen === wanted && chosen !== line.source;
  return {
    text: line.texts[chosen] ?? '',
    language: chosen,
    translated,
    guard: line.guard[chosen] ?? [],
    doubtful: chosen === line.source ? line.doubtful : [],
  };
}

/** Index of the last item that has begun at `time`, or -1 (`items` ordered by `start`). */
export function begun(items: readonly { start: number }[], time: number): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle]!.start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The name to show over the picture at `time`. */
export function lettered(thirds: readonly Third[], time: number): Third | null {
  const last = thirds[begun(thirds, time)];
  return last && time < last.start + THIRD_S ? last : null;
}

/** The line to mark in the transcript: the last that has begun. */
export const current = (lines: readonly Line[], time: number): Line | undefined => lines[begun(lines, time + 0.05)];

/**
 * The captions to draw at `time`, oldest first, at most `most`: a line stays until it ends, and a moment longer when it was too
 * short to be read.
 */
export function shown(lines: readonly Line[], time: number, most = 2): Line[] {
  const found: Line[] = [];
  for (let at = begun(lines, time); at >= 0 && found.length < most; at -= 1) {
    const line = lines[at]!;
    if (time < Math.max(line.end + 0.5, line.start + 1.5)) found.unshift(line);
    else if (time - line.start > 60) break;
  }
  return found;
}

/** The transcript of one language as plain text: time, name, words. */
export function plain(recording: Recording, language: string | null, time: (seconds: number) => string): string {
  const body = recording.lines.map((line) => `[${time(line.start)}] ${line.person.name}: ${words(line, language).text}`);
  return `${recording.manifest.title}\n\n${body.join('\n')}\n`;
}
