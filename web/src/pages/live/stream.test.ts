import { expect, it } from 'vitest';
import { Parser } from './stream';

it('reads events however they are cut', () => {
  const text = 'retry: 2000\n\nevent: caption\ndata: {"a":\ndata: 1}\n\n: beat\n\nevent: changed\ndata: {}\n\ndata: x\n\n';
  for (const size of [1, 7, text.length]) {
    const parser = new Parser();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...parser.take(text.slice(at, at + size)));
    expect(found).toEqual([
      { name: 'caption', data: '{"a":\n1}' },
      { name: 'changed', data: '{}' },
      { name: 'message', data: 'x' },
    ]);
  }
});
