/** Signs that stand for a moment: what came in the last seconds, summed by sign. */
import HandHeart from '@lucide/svelte/icons/hand-heart';
import Heart from '@lucide/svelte/icons/heart';
import Laugh from '@lucide/svelte/icons/laugh';
import Lightbulb from '@lucide/svelte/icons/lightbulb';
import PartyPopper from '@lucide/svelte/icons/party-popper';
import ThumbsUp from '@lucide/svelte/icons/thumbs-up';
import type { Component } from 'svelte';
import type { Reaction } from '../client/protocol';

/** Drawn, not emoji: many computers have no font for those. */
export const SIGNS: Record<Reaction, Component<{ size?: number }>> = { applause: HandHeart, heart: Heart, agree: ThumbsUp, laugh: Laugh, celebrate: PartyPopper, insight: Lightbulb };
export const REACTIONS = Object.keys(SIGNS) as Reaction[];
/** A sign stays so long after the last of its kind. */
export const STAY_MS = 4_000;

export interface Shown {
  reaction: Reaction;
  count: number;
}

export class Reactions {
  shown = $state.raw<readonly Shown[]>([]);
  private readonly timers = new Map<Reaction, ReturnType<typeof setTimeout>>();

  /** What was given in the last half second. */
  take(counts: Partial<Record<Reaction, number>>): void {
    const next = new Map(this.shown.map((one) => [one.reaction, one.count]));
    for (const reaction of REACTIONS) {
      const count = counts[reaction];
      if (!count) continue;
      next.set(reaction, (next.get(reaction) ?? 0) + count);
      clearTimeout(this.timers.get(reaction));
      this.timers.set(
        reaction,
        setTimeout(() => (this.shown = this.shown.filter((one) => one.reaction !== reaction)), STAY_MS),
      );
    }
    this.shown = [...next].map(([reaction, count]) => ({ reaction, count }));
  }

  close(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
  }
}
