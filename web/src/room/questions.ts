/** In which order questions are read: the most wanted first, the older one of equals; what is answered in the order of its answering. */
import type { Question } from '../client/protocol';

export function inOrder(questions: Iterable<Question>): Question[] {
  return [...questions].filter((question) => question.state !== 'merged').sort((a, b) => b.votes - a.votes || a.at - b.at || a.id.localeCompare(b.id));
}
