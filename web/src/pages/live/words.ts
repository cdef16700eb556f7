/** A broadcast's captions as they come, and which of them belong to a moment of the programme. Times in milliseconds of it. */

export interface Caption {
  segment: string;
  revision: number;
  language: string;
  source: string;
  name: string;
  color: number;
  start: number;
  end: number;
  text: string;
  final: boolean;
}

/** What is read of a segment: `translated` when it is not in the words that were spoken. */
export interface Shown extends Caption {
  translated: boolean;
}

interface Heard extends Caption {
  came: number;
}

const MOST = 4_000;
/** Words stay so long after they were said, unless newer ones come. */
export const STAY_MS = 2_500;
const LINES = 2;

export class Words {
  private readonly kept = new Map<string, Map<string, Heard>>();

  /** Takes an event; an older revision changes nothing. `came`: the moment of the programme at which it did. */
  take(caption: Caption, came = caption.end): void {
    let texts = this.kept.get(caption.segment);
    if (!texts) {
      texts = new Map();
      this.kept.set(caption.segment, texts);
      if (this.kept.size > MOST) this.kept.delete(this.kept.keys().next().value!);
    }
    const known = texts.get(caption.language);
    if (!known || known.revision <= caption.revision) texts.set(caption.language, { ...caption, came });
  }

  /**
   * The lines at a moment, oldest first. With a language its translation, where there is none yet the original;
   * with null the original. A segment appears with its first word, not before it is spoken. `late`: the picture is ahead
   * of the words, which stay from when they came.
   */
  at(time: number, language: string | null, late = false): Shown[] {
    const found: Shown[] = [];
    for (const texts of this.kept.values()) {
      const original = [...texts.values()].find((one) => one.language === one.source);
      const wanted = (language && texts.get(language)) || original;
      if (!wanted?.text || wanted.start > time) continue;
      if ((late ? Math.max(wanted.end, wanted.came) : wanted.end) + STAY_MS < time) continue;
      found.push({ ...wanted, translated: wanted.language !== wanted.source });
    }
    return found.sort((a, b) => a.start - b.start).slice(-LINES);
  }
}
