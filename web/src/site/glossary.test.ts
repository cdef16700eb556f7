import { describe, expect, it } from 'vitest';
import { asCsv, readTranslations, showTranslations } from './glossary';

describe('a glossary', () => {
  it('reads translations as people type them', () => {
    const typed = 'pt: metformina\n es = metformina: sódica \n\nnonsense\nDE:Metformin';
    expect(readTranslations(typed)).toEqual({ pt: 'metformina', es: 'metformina: sódica', de: 'Metformin' });
    expect(readTranslations(showTranslations({ pt: 'a', fr: 'b' }))).toEqual({ pt: 'a', fr: 'b' });
  });
  it('writes a file that can be taken in again', () => {
    const term = { id: '1', term: 'a, "b"', language: 'en', kind: 'drug', aliases: ['x', 'y'], translations: { pt: 'z' } } as const;
    expect(asCsv([{ ...term, aliases: [...term.aliases] }])).toBe('term,language,kind,aliases,pt\n"a, ""b""",en,drug,x|y,z\n');
  });
});
