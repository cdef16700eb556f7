import { describe, expect, it } from 'vitest';
import { bytes, clock, span } from '../../site/format';
import { begun, current, join, plain, read, shown, words, type Manifest } from './recording';
import { codeIn, shareLink, timeIn } from './access';
import { Timeline } from './timeline';
import { find, findWords, pieces } from './search';
import { embedCode, seconds } from './shares';

const manifest: Manifest = {
  id: 'r1',
  room: 'room',
  title: 'Case 12',
  purpose: '',
  startedBy: 'Ana',
  startedAt: '2026-11-22T22:00:00Z',
  duration: 60_000,
  state: 'complete',
  problem: null,
  people: [
    { id: 'a', name: 'Ana' },
    { id: 'b', name: 'Bruno' },
  ],
  languages: ['en', 'pt'],
  captions: { en: 'captions.en.vtt', pt: 'captions.pt.vtt' },
  transcript: [
    { segment: '2', participant: 'b', name: 'Bruno', source: 'pt', start: 5000, end: 7000, texts: { pt: 'Pressão alta', en: 'High pressure' } },
    { segment: '1', participant: 'a', name: 'Ana', source: 'en', start: 1000, end: 4000, texts: { en: 'Good morning' } },
    { segment: '3', participant: 'gone', name: 'Carla', source: 'de', start: 6000, end: 6200, texts: { de: 'Über' } },
  ],
  chat: [{ participant: 'b', name: 'Bruno', text: 'hi', at: 3000 }],
  speakers: [
    { participant: 'a', start: 0, end: 1000 },
    { participant: 'a', start: 2500, end: 4000 },
    { participant: 'b', start: 5000, end: 7000 },
  ],
  master: 'master.m3u8',
  files: {},
  bytes: 1,
  pending: [],
  tracks: [],
  chapters: [{ kind: 'question', start: 3000, participant: 'b', name: 'Bruno', text: 'Why?' }],
  polls: [],
  questions: [{ name: null, text: 'How much?', at: 5000, votes: 3, answer: null, answeredBy: null }],
  kept: [],
  shared: false,
};

describe('a passage', () => {
  const recording = read({ ...manifest, duration: 6500, kept: [{ start: 4500, end: 6500 }], shared: true });
  it('begins at 0 on the page, wherever it lies in the recording', () => {
    expect([recording.timeline.toMedia(0), recording.duration]).toEqual([4.5, 2]);
    expect(recording.lines.map((line) => line.start)).toEqual([0, 0.5, 1.5]);
    expect(recording.questions.map((one) => one.at)).toEqual([0.5]);
  });
});

describe('a timeline', () => {
  const timeline = new Timeline([{ start: 0, end: 5 }, { start: 8, end: 10 }]);
  it('leaves out what may not be seen', () => {
    expect([0, 4, 5, 7, 8, 9, 12].map((at) => timeline.toPage(at))).toEqual([0, 4, 5, 5, 5, 6, 7]);
    expect([0, 4, 5, 6, 7, 9].map((at) => timeline.toMedia(at))).toEqual([0, 4, 8, 9, 10, 10]);
    expect(timeline.length).toBe(7);
  });
  it('goes on after what is cut out, and ends with what is kept', () => {
    expect([3, 5, 7.9, 7.97, 8, 11].map((at) => timeline.next(at))).toEqual([null, 8, 8, null, null, null]);
    expect([9.9, 10].map((at) => timeline.over(at))).toEqual([false, true]);
  });
  it('is the recording itself where nothing is cut out', () => {
    const whole = new Timeline([]);
    expect([whole.toPage(3), whole.toMedia(3), whole.next(3), whole.over(9e9), whole.length]).toEqual([3, 3, null, false, null]);
  });
});

describe('sharing', () => {
  it('reads times as people write them', () => {
    expect(['90', '1:30', '1:02:05', '', 'a', '1:2:3:4', '-1'].map(seconds)).toEqual([90, 90, 3725, null, null, null, null]);
  });
  it('puts no markup of a title into another page', () => {
    const code = embedCode('https://x.example', '/embed/a#k=b', '"><script>alert(1)</script>');
    expect(code).not.toContain('<script');
    expect(code).toContain('src="https://x.example/embed/a#k=b"');
  });
  it('keeps code and time behind the #', () => {
    expect(shareLink('https://x.example', 'r', 'c.d', 65.4)).toBe('https://x.example/replay/r#k=c.d&t=65');
    expect([timeIn('#k=c&t=65'), timeIn('#t=-1'), timeIn('#k=c'), codeIn('#k=abcd.efgh_-&t=1')]).toEqual([65, null, null, 'abcd.efgh_-']);
  });
});

describe('a recording', () => {
  const recording = read(manifest);
  it('puts lines in order of time, in seconds, with one colour per person', () => {
    expect(recording.lines.map((line) => [line.segment, line.start, line.person.name, line.person.color])).toEqual([
      ['1', 1, 'Ana', 0],
      ['2', 5, 'Bruno', 1],
      ['3', 6, 'Carla', 2],
    ]);
  });
  it('joins turns of one person that nearly touch', () => {
    expect(recording.turns.map((turn) => [turn.person.name, turn.start, turn.end])).toEqual([
      ['Ana', 0, 4],
      ['Bruno', 5, 7],
    ]);
    expect(join(recording.turns, 0)).toHaveLength(2);
  });
  it('gives the words spoken where there is no translation', () => {
    expect(words(recording.lines[1]!, 'en')).toMatchObject({ text: 'High pressure', language: 'en', translated: true });
    expect(words(recording.lines[0]!, 'pt')).toMatchObject({ text: 'Good morning', language: 'en', translated: false });
    expect(words(recording.lines[1]!, null).text).toBe('Pressão alta');
  });
  it('tells of doubts: about a translation by language, about what was heard with the original', () => {
    const doubted = { ...manifest.transcript[0]!, guard: { en: ['dose'] }, doubtful: [1], heard: 'Pressão alto', typed: true };
    const [line] = read({ ...manifest, transcript: [doubted] }).lines;
    expect(words(line!, 'en')).toMatchObject({ guard: ['dose'], doubtful: [] });
    expect(words(line!, null)).toMatchObject({ guard: [], doubtful: [1] });
    expect(line!.heard).toBe('Pressão alto');
    expect([line!.typed, recording.lines[0]!.typed]).toEqual([true, false]);
  });
  it('calls those by no name who did not want theirs beside their words', () => {
    const hidden = { ...manifest.transcript[0]!, participant: '~1', name: '' };
    expect(read({ ...manifest, transcript: [hidden] }, 'Somebody').lines[0]!.person.name).toBe('Somebody');
  });
  it('finds what is said at a time', () => {
    expect(begun(recording.lines, 0.5)).toBe(-1);
    expect(current(recording.lines, 5)?.segment).toBe('2');
    expect(shown(recording.lines, 6.1).map((line) => line.segment)).toEqual(['2', '3']);
    expect(shown(recording.lines, 7.2).map((line) => line.segment)).toEqual(['2', '3']);
    expect(shown(recording.lines, 20)).toEqual([]);
  });
  it('writes a plain transcript', () => {
    expect(plain(recording, 'en', clock)).toContain('[0:05] Bruno: High pressure\n');
  });
});

describe('search', () => {
  it('ignores case and accents and gives places in the original', () => {
    const text = 'A pressão subiu; PRESSAO.';
    expect(find(text, 'pressao').map((range) => text.slice(range.from, range.to))).toEqual(['pressão', 'PRESSAO']);
    expect(find('Über ﬁeber', 'uber fieber').map((range) => 'Über ﬁeber'.slice(range.from, range.to))).toEqual(['Über ﬁeber']);
  });
  it('finds text written with combining marks, whole', () => {
    const text = 'pressa\u0303o';
    expect(find(text, 'pressão')).toEqual([{ from: 0, to: text.length }]);
  });
  it('finds nothing for nothing', () => {
    expect(find('abc', '  ')).toEqual([]);
    expect(find('', 'a')).toEqual([]);
  });
  it('cuts a text at its hits', () => {
    const found = pieces('abcabc', find('abcabc', 'b'), 4);
    expect(found.map((piece) => [piece.text, piece.hit])).toEqual([['a', null], ['b', 4], ['ca', null], ['b', 5], ['c', null]]);
  });
  it('marks what is doubtful inside and outside of hits', () => {
    const found = pieces('abcabc', find('abcabc', 'b'), 0, [{ from: 3, to: 5 }]);
    expect(found.filter((piece) => piece.doubtful).map((piece) => [piece.text, piece.hit])).toEqual([['a', null], ['b', 1]]);
    expect(found.map((piece) => piece.text).join('')).toBe('abcabc');
  });
  it('keeps characters outside the basic plane whole', () => {
    const text = '😀a😀';
    expect(find(text, 'a')).toEqual([{ from: 2, to: 3 }]);
    expect(find(text, '😀')).toEqual([
      { from: 0, to: 2 },
      { from: 3, to: 5 },
    ]);
  });
});

describe('format', () => {
  it('writes clock times', () => {
    expect([0, 9.9, 75, 3725, Number.NaN].map(clock)).toEqual(['0:00', '0:09', '1:15', '1:02:05', '0:00']);
  });
  it('writes spans and sizes', () => {
    expect(span(0, 'en')).toBe('0 sec');
    expect(span(3725, 'en')).toBe('1 hr 2 min');
    expect(bytes(1_500_000, 'en')).toBe('1.5 MB');
    expect(bytes(0, 'en')).toBe('0 byte');
  });
});

describe('marking what the server found', () => {
  it('marks every word once, in order', () => {
    const marked = (text: string, query: string) => findWords(text, query).map((range) => text.slice(range.from, range.to));
    expect(marked('Não tome 5 mg; não.', 'nao 5')).toEqual(['Não', '5', 'não']);
    expect(marked('aspirin', 'asp aspirin')).toEqual(['aspirin']);
    expect(marked('aspirin', '""')).toEqual([]);
  });
});
