import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Recovery } from './recovery';

let acts: string[];
let reachable: boolean;
let recovery: Recovery;

beforeEach(() => {
  vi.useFakeTimers();
  acts = [];
  reachable = true;
  recovery = new Recovery(
    () => acts.push('restart'),
    () => acts.push('rebuild'),
    () => reachable,
  );
  recovery.began();
});
afterEach(() => vi.useRealTimers());

test('a short disconnection heals by itself', () => {
  recovery.report('connected');
  recovery.report('disconnected');
  vi.advanceTimersByTime(2_900);
  recovery.report('connected');
  vi.advanceTimersByTime(60_000);
  expect(acts).toEqual([]);
});

test('disconnected for three seconds restarts ICE, and a restart that does not help rebuilds', () => {
  recovery.report('connected');
  recovery.report('disconnected');
  vi.advanceTimersByTime(3_000);
  expect(acts).toEqual(['restart']);
  vi.advanceTimersByTime(6_000);
  expect(acts).toEqual(['restart', 'rebuild']);
});

test('failed restarts at once, and nothing more happens when that works', () => {
  recovery.report('connected');
  recovery.report('failed');
  expect(acts).toEqual(['restart']);
  recovery.report('connected');
  vi.advanceTimersByTime(60_000);
  expect(acts).toEqual(['restart']);
});

test('a connection that never comes up is built again, with growing patience', () => {
  vi.advanceTimersByTime(8_000);
  expect(acts).toEqual(['rebuild']);
  vi.advanceTimersByTime(15_999);
  expect(acts).toEqual(['rebuild']);
  vi.advanceTimersByTime(1);
  expect(acts).toEqual(['rebuild', 'rebuild']);
});

test('without the server it waits, and mends when told that the server is back', () => {
  recovery.report('connected');
  reachable = false;
  recovery.report('failed');
  vi.advanceTimersByTime(60_000);
  expect(acts).toEqual([]);
  reachable = true;
  recovery.nudge(false);
  expect(acts).toEqual(['restart']);
});

test('a connected one is left alone unless the network changed under it', () => {
  recovery.report('connected');
  recovery.nudge(false);
  expect(acts).toEqual([]);
  recovery.nudge(true);
  expect(acts).toEqual(['restart']);
});

test('with nothing to connect for, or stopped, it does nothing', () => {
  recovery.idle();
  vi.advanceTimersByTime(60_000);
  recovery.nudge(true);
  recovery.began();
  recovery.stop();
  recovery.report('failed');
  vi.advanceTimersByTime(60_000);
  expect(acts).toEqual([]);
});

test('a connection that does not come up is told of until one does', () => {
  expect(recovery.struggling.get()).toBe(false);
  vi.advanceTimersByTime(8_000);
  expect(acts).toEqual(['rebuild']);
  expect(recovery.struggling.get()).toBe(true);
  recovery.report('connected');
  expect(recovery.struggling.get()).toBe(false);
});
