/** Interpreters' channels as a listener and as an interpreter: who is on the air, what one hears, how loud each voice is. Pure. */
import type { Channel, Person, RoomInfo, SubscribedTrack } from './protocol';

/** What is left of the original under an interpreter: -16 dB. */
export const DUCKED = 0.16;

interface Seen {
  room: RoomInfo | null;
  people: ReadonlyMap<string, Person>;
}

const channels = (room: RoomInfo | null): readonly Channel[] => room?.channels ?? [];

/** The channels that somebody was given. */
export const givenTo = (room: RoomInfo | null, person: string | null): Channel[] =>
  person === null ? [] : channels(room).filter((channel) => channel.interpreters.includes(person));

/** The channel that somebody speaks into now. */
export const spokenInto = (room: RoomInfo | null, person: string | null): Channel | null =>
  channels(room).find((channel) => channel.speaking !== null && channel.speaking === person) ?? null;

/** The channel of a language. */
export const channelOf = (room: RoomInfo | null, language: string | null): Channel | null =>
  channels(room).find((channel) => channel.language === language) ?? null;

/** The channel that one hears: on the air the one that is relayed, else the one that was chosen. */
export function heardChannel(room: RoomInfo | null, me: string | null, chosen: string | null): Channel | null {
  const mine = spokenInto(room, me);
  return channelOf(room, mine ? mine.listens : chosen);
}

/** Whether somebody can be heard in a channel now; while they cannot, one hears the original in full. */
export function sounds({ people }: Seen, channel: Channel | null): boolean {
  const speaker = channel?.speaking ? people.get(channel.speaking) : undefined;
  return (speaker?.connected && speaker.tracks.some((track) => track.source === 'microphone' && !track.muted)) ?? false;
}

/** How loud a track is played, from 0 to 1. By relay an interpreter hears the other channel instead of the floor. */
export function loudness(seen: Seen, me: string | null, chosen: string | null, track: SubscribedTrack): number {
  const heard = heardChannel(seen.room, me, chosen);
  const into = track.source === 'microphone' ? spokenInto(seen.room, track.participant) : null;
  if (into) return into.language === heard?.language ? 1 : 0;
  if (!sounds(seen, heard)) return 1;
  return spokenInto(seen.room, me) ? 0 : DUCKED;
}
