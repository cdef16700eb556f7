/**
 * Messages: `t('key', {name})`, plurals by `Intl.PluralRules` (a message that is an object of plural forms takes `count`).
 * English is always there and is the type; other languages load when chosen. `en.json` is the room's, `site.en.json` the other pages'.
 */
import en from './messages/en.json';
import siteEn from './messages/site.en.json';

const english = { ...en, ...siteEn };
export type MessageKey = keyof typeof english;
type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };
type Messages = Partial<Record<MessageKey, string | Forms>>;

/** The languages of the interface, by their own names. */
export const languages = {
  ar: 'العربية',
  de: 'Deutsch',
  en: 'English',
  es: 'Español',
  fr: 'Français',
  it: 'Italiano',
  pt: 'Português',
  ru: 'Русский',
  zh: '中文',
} as const;
export type UiLanguage = keyof typeof languages;

const files = import.meta.glob<Messages>(['./messages/*.json', '!./messages/en.json', '!./messages/site.en.json'], { import: 'default' });

async function load(language: Exclude<UiLanguage, 'en'>): Promise<Messages> {
  const [core, site] = await Promise.all([files[`./messages/${language}.json`]!(), files[`./messages/site.${language}.json`]!()]);
  return { ...core, ...site };
}

const rightToLeft = new Set(['ar', 'fa', 'he', 'ur', 'ps', 'ckb', 'yi', 'ug', 'dv']);
/** The writing direction of a language, for text in it. */
export function direction(tag: string): 'rtl' | 'ltr' {
  return rightToLeft.has(tag.split('-')[0]!.toLowerCase()) ? 'rtl' : 'ltr';
}

class I18n {
  language = $state<UiLanguage>('en');
  private messages = $state.raw<Messages>(english);
  private plural = new Intl.PluralRules('en');

  /** Loads a language and shows the page in it. */
  async use(language: UiLanguage): Promise<void> {
    const messages = language === 'en' ? english : await load(language);
    this.messages = messages;
    this.plural = new Intl.PluralRules(language);
    this.language = language;
    document.documentElement.lang = language;
    document.documentElement.dir = direction(language);
  }

  /** The message in the chosen language (English when it has none), with `{placeholders}` filled in. */
  t = (key: MessageKey, values: Record<string, string | number> = {}): string => {
    const found: string | Forms = this.messages[key] ?? english[key];
    const text = typeof found === 'string' ? found : (found[this.plural.select(Number(values.count))] ?? found.other);
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = values[name];
      return value === undefined ? whole : typeof value === 'number' ? value.toLocaleString(this.language) : value;
    });
  };
}

export const i18n = new I18n();
export const t = i18n.t;

/** The reader's choice, or the first of the browser's languages that we have. */
export async function startLanguage(): Promise<void> {
  const stored = remembered();
  const wanted = stored ?? navigator.languages.map((tag) => tag.split('-')[0]).find((tag) => tag! in languages);
  if (wanted && wanted in languages && wanted !== 'en') await i18n.use(wanted as UiLanguage).catch(() => i18n.use('en'));
}

/** Chooses a language for now and for later visits. */
export async function chooseLanguage(language: UiLanguage): Promise<void> {
  await i18n.use(language);
  try {
    localStorage.setItem('consilium.ui', language);
  } catch {
    // Storage may be refused; the choice then lasts as long as the page.
  }
}

function remembered(): string | null {
  try {
    return localStorage.getItem('consilium.ui');
  } catch {
    return null;
  }
}

/** A language's own name in the interface's language, from the browser; the tag itself when it knows none. */
export function languageName(tag: string, inLanguage: string = i18n.language): string {
  try {
    return new Intl.DisplayNames([inLanguage], { type: 'language' }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}
