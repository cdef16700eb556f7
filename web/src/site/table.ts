/** Sorting and filtering rows that are all here already. */

export interface Order {
  column: string;
  up: boolean;
}

/** Rows with every word of `query` in one of their texts. */
export function filter<T>(rows: readonly T[], query: string, texts: (row: T) => readonly (string | null | undefined)[]): T[] {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    const text = texts(row).join(' ').toLocaleLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** Rows by one value; numbers as numbers, texts as the language sorts them, nothing last. */
export function sort<T>(rows: readonly T[], up: boolean, value: (row: T) => string | number | null, language: string): T[] {
  const collator = new Intl.Collator(language, { numeric: true, sensitivity: 'base' });
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    const order = typeof x === 'number' && typeof y === 'number' ? x - y : collator.compare(String(x), String(y));
    return up ? order : -order;
  });
}
