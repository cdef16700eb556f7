/** Every language of the interface says what English says, with the same placeholders and its own plural forms. */
import { expect, test } from 'vitest';
import { languages } from './i18n.svelte';

type Message = string | Record<string, string>;
const files = import.meta.glob<Record<string, Message>>('./messages/*.json', { eager: true, import: 'default' });
const of = (language: string): Record<string, Message> => ({ ...files[`./messages/${language}.json`], ...files[`./messages/site.${language}.json`] });
const english = of('en');
const romance = new Set(['es', 'fr', 'it', 'pt']);
const placeholders = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

test('there is no file of a language that cannot be chosen', () => {
  const named = Object.keys(files).map((path) => path.replace(/^.*\/(site\.)?(\w+)\.json$/, '$2'));
  expect([...new Set(named)].sort()).toEqual(Object.keys(languages).sort());
});

test.each(Object.keys(languages))('%s has every message, or most until its translator comes by', (language) => {
  const messages = of(language);
  expect(Object.keys(messages).filter((key) => !(key in english))).toEqual([]);
  const missing = Object.keys(english).filter((key) => !(key in messages));
  if (language === 'pt') expect(missing).toEqual([]);
  expect(missing.length, `English stands in for ${missing.join(', ')}`).toBeLessThan(Object.keys(english).length / 5);
});

test.each(Object.keys(languages))('%s keeps placeholders and plural forms', (language) => {
  // In Romance languages "many" is for whole millions; what has no form of its own is said as "other".
  const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories.filter((category) => category !== 'many' || !romance.has(language));
  const wrong: string[] = [];
  for (const [key, message] of Object.entries(of(language))) {
    const source = english[key];
    if (source === undefined) continue;
    if (typeof message === 'string') {
      if (typeof source === 'string' ? `${placeholders(message)}` !== `${placeholders(source)}` : true) wrong.push(key);
      continue;
    }
    if (typeof source === 'string' || categories.some((category) => !(category in message))) wrong.push(key);
    else {
      const wanted = placeholders(source.other!);
      // "One" and "two" may be said in words.
      if (`${placeholders(message.other!)}` !== `${wanted}` || Object.values(message).some((form) => placeholders(form).some((name) => !wanted.includes(name)))) wrong.push(key);
    }
  }
  expect(wrong).toEqual([]);
});
