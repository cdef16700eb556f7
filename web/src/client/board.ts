/** The questions that one sees, as news of them comes. */
import type { Question } from './protocol';

/**
 * The questions after some `changed` and some are `gone`. One that was merged into another stays, to say so, with those
 * who asked it or wanted it answered; for all others the other one stands for it.
 */
export function taken(known: ReadonlyMap<string, Question>, voted: ReadonlySet<string>, changed: readonly Question[], gone: readonly string[]): Map<string, Question> {
  const questions = new Map(known);
  for (const id of gone) questions.delete(id);
  for (const question of changed) {
    const before = questions.get(question.id)?.state;
    // What waits, or stays merged, is seen by whoever asked it.
    const mine = voted.has(question.id) || before === 'waiting' || before === 'merged';
    if (question.state === 'merged' && !mine) questions.delete(question.id);
    else questions.set(question.id, question);
  }
  return questions;
}
