/** Languages to offer before a room has said which it can hear and write. */
import { languageName } from './i18n.svelte';

const common = 'ar bg ca cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv nl no pl pt ro ru sk sl sr sv sw th tr uk ur vi zh'.split(' ');

/** Options for a menu, by their names in the interface's language, each also by its own name. */
export function languageOptions(tags: readonly string[] | null): { value: string; label: string }[] {
  const list = tags && tags.length > 0 ? [...new Set(tags)] : common;
  return list
    .map((tag) => {
      const name = languageName(tag);
      const own = languageName(tag, tag);
      return { value: tag, label: own.toLocaleLowerCase() === name.toLocaleLowerCase() ? name : `${name} (${own})` };
    })
    .sort((a, b) => a.label.localeCompare(b.label));
}
