import { expect, it } from 'vitest';
import { strength } from './password';

it('tells guessable passwords from good ones', () => {
  expect(strength('short')).toBe(0);
  expect(strength('aaaaaaaaaaaa')).toBe(1);
  expect(strength('1234567890')).toBe(1);
  expect(strength('anacosta2026!', ['Ana Costa', 'ana@example.org'])).toBe(1);
  expect(strength('tree7Lamp!q')).toBeGreaterThanOrEqual(2);
  expect(strength('correct horse battery staple')).toBe(3);
});
