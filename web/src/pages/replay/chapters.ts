/** What a chapter is called, in the reader's language. */
import { t } from '../../i18n.svelte';
import type { Chapter } from './recording';

export function titleOf(chapter: Chapter): string {
  const { name } = chapter.person;
  if (chapter.kind === 'agenda' || (chapter.kind === 'question' && !name)) return chapter.text;
  if (chapter.kind === 'question') return t('replay.chapter_question', { name, text: chapter.text });
  return t(chapter.kind === 'screen' ? 'replay.chapter_screen' : 'replay.chapter_speaker', { name });
}
