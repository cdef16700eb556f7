/** Lines gathered into turns: what one person said until another began. */
import type { Line } from '../client/captions';

export interface Turn {
  key: string;
  participant: string;
  lines: Line[];
}

/** The last turns that reach back at most `characters` of text; nothing older is worth laying out over a picture. */
export function lastTurns(lines: readonly Line[], characters: number): Turn[] {
  const turns: Turn[] = [];
  let length = 0;
  for (let i = lines.length - 1; i >= 0 && length < characters; i -= 1) {
    const line = lines[i]!;
    length += line.stable.length + line.tail.length;
    const first = turns[0];
    if (first && first.participant === line.participant) {
      first.lines.unshift(line);
      first.key = line.segment;
    } else turns.unshift({ key: line.segment, participant: line.participant, lines: [line] });
  }
  return turns;
}
