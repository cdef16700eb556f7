/** A room as the page sees it: the client's stores as reactive values, and the acts of the control bar, each with its answer. */
import * as devices from '../client/devices';
import type { Line } from '../client/captions';
import { givenTo, heardChannel, sounds, spokenInto } from '../client/channels';
import type { Person, Reaction, Source } from '../client/protocol';
import type { Published } from '../client/publisher';
import { Room } from '../client/room';
import { type Link, RequestError } from '../client/signaling';
import { Reactions } from '../components/reactions.svelte';
import { chose, outside, type RoomState, voted } from '../client/state';
import type { RemoteTrack } from '../client/subscriber';
import { isWebKit, whenInterrupted } from '../client/webkit';
import { toast } from '../components/toasts.svelte';
import { languageName, type MessageKey, t } from '../i18n.svelte';
import { preferences } from '../preferences.svelte';
import { Absence } from './absence';
import { Overseen } from './desk/overseen.svelte';

export type Panel = 'chat' | 'people' | 'transcript' | 'questions' | 'captioner' | 'desk';

export interface LocalMedia {
  microphone: MediaStreamTrack | null;
  camera: MediaStreamTrack | null;
  /** What was still being opened when the person joined. */
  later: Promise<devices.Opened> | null;
}

/** Words for a refused or lost request. */
export function problemWords(reason: unknown): string {
  const code = reason instanceof RequestError ? reason.code : 'internal';
  return t(`error.${code}` as MessageKey);
}

export class Session {
  readonly room: Room;
  state = $state.raw<RoomState>(outside);
  link = $state<Link>('connecting');
  lines = $state.raw<readonly Line[]>([]);
  remote = $state.raw<ReadonlyMap<string, RemoteTrack>>(new Map());
  published = $state.raw<Published>({});
  panel = $state<Panel | null>(null);
  /** Said by a screen reader. */
  announcement = $state('');
  /** Chat lines nobody looked at yet. */
  unread = $state(0);
  /** Questions that came while the panel was not open. */
  unseen = $state(0);
  audioBlocked = $state(false);
  /** The signs that can be given are open. */
  reacting = $state(false);
  readonly reactions = new Reactions();
  /** Neither sound nor pictures get through on one of the two connections, though the server answers. */
  struggling = $state(false);
  /** Bumped when a local track was swapped, which the published state does not show. */
  localVersion = $state(0);
  /** How a moderator wants people shown; null once one has chosen for oneself. */
  layout = $state<'speaker' | 'grid' | null>(null);
  /** Whom the person wants large, as `tileKey` names it. */
  pinned = $state<string | null>(null);
  /** The channel that one was last on the air of. */
  lastAir = $state<string | null>(null);
  /** Levels of one's own connection as they were told, the newest last. */
  history = $state.raw<readonly number[]>([]);
  /** What this computer could not manage. */
  relieved = $state.raw<ReadonlySet<'shed' | 'cheaper'>>(new Set());
  readonly overseen = new Overseen();
  readonly busy = $state<Partial<Record<Source, boolean>>>({});
  readonly me = $derived(this.state.me ? (this.state.people.get(this.state.me) ?? null) : null);
  readonly others = $derived([...this.state.people.values()].filter((person) => person.id !== this.state.me));
  /** Ids of those whose connection has been lost for a while. */
  absent = $state.raw<ReadonlySet<string>>(new Set());
  readonly present = $derived(this.others.filter((person) => !this.absent.has(person.id)));
  readonly micOn = $derived(this.published.microphone !== undefined && !this.published.microphone.muted);
  readonly cameraOn = $derived(this.published.camera !== undefined && !this.published.camera.muted);
  readonly sharing = $derived(this.published.screen !== undefined);
  readonly recording = $derived(this.state.room?.recording ?? null);
  /** The interpreters' channel that was chosen; it need not be there. */
  readonly hears = $derived(preferences.channel);
  /** The channel that is heard now in place of the original; null while nobody is to be heard there. */
  readonly interpreted = $derived.by(() => {
    const channel = heardChannel(this.state.room, this.state.me, preferences.channel || null);
    return sounds(this.state, channel) ? channel : null;
  });
  /** What is said, or its interpretation where one listens to that: nobody reads both. */
  readonly heardLines = $derived(this.lines.filter((line) => line.channel === (this.interpreted?.language ?? null)));
  private readonly stops: (() => void)[] = [];
  private readonly absence = new Absence();
  private looking: ReturnType<typeof setTimeout> | undefined;
  private closed = false;

  constructor(options: { url: string; grant: string; name: string; spoken: string | null; reads: string | null }, media: LocalMedia) {
    this.room = new Room({ ...options, captioned: preferences.captioned, named: preferences.named, institution: preferences.institution });
    this.stops.push(
      this.room.state.subscribe((value) => this.changed(value)),
      this.room.signaling.link.subscribe((value) => this.linkChanged(value)),
      this.room.captions.lines.subscribe((value) => (this.lines = value)),
      this.room.subscriber.tracks.subscribe((value) => (this.remote = value)),
      ...[this.room.publisher, this.room.subscriber].map(({ recovery }) => recovery.struggling.subscribe(() => this.judge())),
      this.room.publisher.published.subscribe((value) => (this.published = value)),
      this.room.publisher.relieved.subscribe((value) => (this.relieved = value)),
      this.room.listen((happening) => {
        if (happening.type === 'muted-by') this.mutedBy(happening.by);
        else if (happening.type === 'problem') console.warn('media', happening.about, happening.reason);
        else if (happening.message.type === 'chatted') this.chatted(happening.message.entry.participant);
        else if (happening.message.type === 'reacted') this.reactions.take(happening.message.counts);
        else if (happening.message.type === 'overview') this.overseen.take(happening.message);
        else if (happening.message.type === 'quality') this.history = [...this.history.slice(-59), happening.message.level];
      }),
    );
    const online = () => this.room.networkChanged(true);
    const offline = () => this.room.networkChanged(false);
    const goodbye = (event: PageTransitionEvent) => !event.persisted && this.room.leave();
    const sight = () => this.room.view.hide(document.visibilityState === 'hidden');
    sight();
    document.addEventListener('visibilitychange', sight);
    addEventListener('online', online);
    addEventListener('offline', offline);
    addEventListener('pagehide', goodbye);
    this.stops.push(() => {
      document.removeEventListener('visibilitychange', sight);
      removeEventListener('online', online);
      removeEventListener('offline', offline);
      removeEventListener('pagehide', goodbye);
    });
    if (media.microphone) void this.begin('microphone', media.microphone, !preferences.microphoneOn);
    if (media.camera) void this.begin('camera', media.camera, false);
    if (media.later) void this.follow(media.later, media);
    if (preferences.channel) this.room.hear(preferences.channel);
    this.room.enter();
  }

  private judge(): void {
    this.struggling = this.room.publisher.recovery.struggling.get() || this.room.subscriber.recovery.struggling.get();
  }

  may(permission: Parameters<RoomState['permissions']['has']>[0]): boolean {
    return this.state.permissions.has(permission);
  }

  person(id: string): Person | null {
    return this.state.people.get(id) ?? null;
  }

  nameOf(id: string): string {
    return this.state.known.get(id)?.name ?? t(id.startsWith('~') ? 'captions.unnamed' : 'room.somebody');
  }

  colorOf(id: string): number {
    return this.state.known.get(id)?.color ?? 0;
  }

  /** Tells by voice of a screen reader and, when it should be seen too, by a toast. */
  say(text: string, seen = false): void {
    this.announcement = text;
    if (seen) toast(text);
  }

  /** Sends a request; a refusal is shown in words. */
  async act(message: Parameters<Room['request']>[0], done?: string): Promise<boolean> {
    try {
      await this.room.request(message);
      if (done) this.say(done);
      return true;
    } catch (reason) {
      toast(problemWords(reason), { kind: 'error' });
      return false;
    }
  }

  async toggleMicrophone(): Promise<void> {
    if (this.published.microphone) {
      const muted = this.micOn;
      this.room.publisher.setMuted('microphone', muted);
      preferences.microphoneOn = !muted;
      this.say(t(muted ? 'say.mic_off' : 'say.mic_on'));
      return;
    }
    if (!this.may('publish-audio')) return void toast(t('room.may_not_speak'));
    await this.open('microphone', () => devices.openMicrophone(preferences.microphone || null));
  }

  async toggleCamera(): Promise<void> {
    if (this.cameraOn) {
      await this.room.publisher.release('camera');
      preferences.cameraOn = false;
      this.localVersion += 1;
      this.say(t('say.camera_off'));
      return;
    }
    if (!this.may('publish-video')) return void toast(t('room.may_not_show'));
    preferences.cameraOn = true;
    await this.open('camera', () => devices.openCamera(preferences.camera || null));
  }

  async toggleScreen(): Promise<void> {
    if (this.sharing) {
      await this.room.publisher.unpublish('screen-audio');
      await this.room.publisher.unpublish('screen');
      this.say(t('say.share_off'));
      return;
    }
    if (!this.may('publish-screen')) return void toast(t('room.may_not_share'));
    if (this.busy.screen) return;
    this.busy.screen = true;
    try {
      const { video, audio } = await devices.openScreen();
      video.addEventListener('ended', () => this.sharing && void this.toggleScreen());
      await this.room.publisher.publish('screen', video);
      if (audio) await this.room.publisher.publish('screen-audio', audio);
      this.say(t('say.share_on'));
    } catch (error) {
      // Choosing "Cancel" in the browser's own dialog is an answer, not a failure.
      const problem = devices.problemOf(error);
      if (problem !== 'denied') toast(t('device.screen_failed'), { kind: 'error' });
    } finally {
      this.busy.screen = false;
    }
  }

  /** Wants a question answered, or not any more. */
  async vote(question: string, up: boolean): Promise<void> {
    if (await this.act({ type: 'vote', question, up })) this.room.state.update((state) => voted(state, question, up));
  }

  /** Gives a sign. One that comes faster than they are counted is no error to tell of. */
  async react(reaction: Reaction): Promise<void> {
    try {
      await this.room.request({ type: 'react', reaction });
    } catch (reason) {
      if (!(reason instanceof RequestError && reason.code === 'too-fast')) toast(problemWords(reason), { kind: 'error' });
    }
  }

  /** Chooses in a poll, instead of what one chose before. */
  async answerPoll(poll: string, choices: number[]): Promise<void> {
    if (await this.act({ type: 'ballot', poll, choices })) this.room.state.update((state) => chose(state, poll, choices));
  }

  /** Hears an interpreters' channel ('': the original), now and in later meetings. */
  hear(language: string): void {
    preferences.channel = language;
    this.room.hear(language || null);
    this.say(language ? t('say.hears', { language: languageName(language) }) : t('say.hears_floor'));
  }

  /** On the air of a channel, with the microphone on; null: off it, and the server mutes. */
  async takeChannel(language: string | null): Promise<void> {
    if (!(await this.act({ type: 'take-channel', language }))) return;
    if (language === null) return this.say(t('say.off_air'));
    this.lastAir = language;
    if (!this.micOn) await this.toggleMicrophone();
    this.say(t('say.on_air', { language: languageName(language) }));
  }

  /** What one hears on the air instead of the original ('': the original). */
  async relay(language: string, listens: string): Promise<void> {
    const done = listens ? t('say.hears', { language: languageName(listens) }) : t('say.hears_floor');
    await this.act({ type: 'set-relay', language, listens: listens || null }, done);
  }

  private mutedBy(by: string): void {
    if (by === this.state.me) return; // by leaving the air
    // The word of it comes before the room's new state: who is on the air has just been taken off it.
    const air = spokenInto(this.state.room, this.state.me);
    const key = !air ? 'room.muted_by' : air.interpreters.includes(by) ? 'say.relieved' : 'say.dismissed';
    this.say(t(key, { name: this.nameOf(by) }), true);
  }

  async toggleHand(): Promise<void> {
    const raised = this.me?.hand == null;
    await this.act({ type: 'raise-hand', raised }, t(raised ? 'say.hand_up' : 'say.hand_down'));
  }

  toggleCaptions(): void {
    preferences.captions = !preferences.captions;
    this.say(t(preferences.captions ? 'say.captions_on' : 'say.captions_off'));
  }

  toggleLayout(speaking: boolean): void {
    this.pinned = this.layout = null;
    preferences.layout = speaking ? 'grid' : 'speaker';
    this.say(t(speaking ? 'say.layout_grid' : 'say.layout_speaker'));
  }

  /** Shows somebody large until told otherwise. */
  pin(key: string, name: string): void {
    this.pinned = this.pinned === key ? null : key;
    this.say(t(this.pinned ? 'say.pinned' : 'say.unpinned', { name }));
  }

  togglePanel(panel: Panel): void {
    this.panel = this.panel === panel ? null : panel;
    if (this.panel === 'chat') this.unread = 0;
    if (this.panel === 'questions') this.unseen = 0;
  }

  /** Another microphone or camera, at once. */
  async choose(kind: 'microphone' | 'camera', device: string): Promise<void> {
    preferences[kind] = device;
    const on = kind === 'microphone' ? this.published.microphone !== undefined : this.cameraOn;
    if (!on) return;
    const old = this.room.publisher.track(kind);
    // Most phones cannot open a second camera while the first one runs.
    if (kind === 'camera') old?.stop();
    await this.open(kind, () => (kind === 'microphone' ? devices.openMicrophone(device, true) : devices.openCamera(device, true)));
    if (kind === 'microphone') old?.stop();
  }

  /** Whether what one says is captioned. */
  async captioned(wanted: boolean): Promise<void> {
    preferences.captioned = wanted;
    await this.tellCaptioned(wanted ? 'say.captioned' : 'say.not_captioned');
  }

  /** Whether one's name stands beside what one says. */
  async named(wanted: boolean): Promise<void> {
    preferences.named = wanted;
    await this.tellCaptioned(wanted ? 'say.named' : 'say.not_named');
  }

  private async tellCaptioned(done: MessageKey): Promise<void> {
    try {
      await this.room.setCaptioned(preferences.captioned, preferences.named);
      this.say(t(done), true);
    } catch (reason) {
      toast(problemWords(reason), { kind: 'error' });
    }
  }

  async languages(spoken: string, reads: string): Promise<void> {
    preferences.spoken = spoken;
    preferences.reads = reads;
    try {
      await this.room.setLanguages(spoken || null, reads || null);
    } catch (reason) {
      toast(problemWords(reason), { kind: 'error' });
    }
  }

  local(source: Source): MediaStreamTrack | null {
    void this.localVersion;
    return this.published[source] && !this.published[source].muted ? this.room.publisher.track(source) : null;
  }

  leave(): void {
    this.room.leave();
    this.close();
  }

  close(): void {
    this.closed = true;
    this.reactions.close();
    clearTimeout(this.looking);
    for (const stop of this.stops.splice(0)) stop();
  }

  /** Devices that open only now: somebody joined before the camera was there, or before answering the browser's question. */
  private async follow(opening: Promise<devices.Opened>, already: LocalMedia): Promise<void> {
    const opened = await opening;
    for (const kind of ['microphone', 'camera'] as const) {
      const result = opened[kind];
      const unwanted = this.closed || already[kind] !== null || this.published[kind] !== undefined || (kind === 'camera' && !preferences.cameraOn);
      if (result === null) continue;
      if (typeof result === 'string') toast(`${t(`device.${kind}`)}: ${t(`device.${result}`)}`, { kind: 'error' });
      else if (unwanted) result.stop();
      else void this.begin(kind, result, kind === 'microphone' && !preferences.microphoneOn);
    }
  }

  private async open(kind: 'microphone' | 'camera', open: () => Promise<MediaStreamTrack>): Promise<void> {
    if (this.busy[kind]) return;
    this.busy[kind] = true;
    try {
      const track = await open();
      if (kind === 'microphone') preferences.microphoneOn = true;
      await this.begin(kind, track, false);
      this.say(t(kind === 'microphone' ? 'say.mic_on' : 'say.camera_on'));
    } catch (error) {
      toast(`${t(`device.${kind}`)}: ${t(`device.${devices.problemOf(error)}`)}`, { kind: 'error' });
    } finally {
      this.busy[kind] = false;
    }
  }

  private async begin(kind: 'microphone' | 'camera', track: MediaStreamTrack, muted: boolean): Promise<void> {
    track.addEventListener('ended', () => {
      // Only a device that went away fires this; our own stop() does not.
      toast(`${t(`device.${kind}`)}: ${t('device.gone')}`, { kind: 'error' });
      if (kind === 'camera') void this.room.publisher.release('camera');
      else this.room.publisher.setMuted('microphone', true);
    });
    if (isWebKit()) this.stops.push(whenInterrupted(track, () => void this.reopen(kind, track)));
    const done = this.room.publisher.publish(kind, track, muted);
    this.localVersion += 1;
    await done;
  }

  /** A device that was taken away for a moment: opened anew, muted if it was. */
  private async reopen(kind: 'microphone' | 'camera', track: MediaStreamTrack): Promise<void> {
    const published = this.published[kind];
    if (this.closed || !published || this.busy[kind] || this.room.publisher.track(kind) !== track) return;
    this.busy[kind] = true;
    track.stop(); // WebKit has one track of a kind at a time.
    try {
      const device = preferences[kind] || null;
      const fresh = await (kind === 'microphone' ? devices.openMicrophone(device) : devices.openCamera(device));
      await this.begin(kind, fresh, published.muted);
    } catch (error) {
      toast(`${t(`device.${kind}`)}: ${t(`device.${devices.problemOf(error)}`)}`, { kind: 'error' });
    } finally {
      this.busy[kind] = false;
    }
  }

  private look(known: (id: string) => boolean): void {
    clearTimeout(this.looking);
    const wait = this.absence.look(this.others, performance.now(), known);
    this.absent = this.absence.absent;
    if (wait !== null) this.looking = setTimeout(() => this.look(() => true), wait);
  }

  private changed(next: RoomState): void {
    const before = this.state;
    this.state = next;
    if (before.people !== next.people) this.look((id) => before.people.has(id));
    if (next.room && before.room?.layout !== next.room.layout) this.layout = next.room.layout;
    if (before.phase !== 'in' || next.phase !== 'in') return;
    for (const person of next.people.values()) {
      const old = before.people.get(person.id);
      if (!old && person.id !== next.me) this.say(t('say.joined', { name: person.name }));
      if (old && old.hand == null && person.hand != null && person.id !== next.me) this.say(t('say.their_hand', { name: person.name }));
    }
    for (const person of before.people.values()) if (!next.people.has(person.id)) this.say(t('say.left', { name: person.name }));
    if (before.permissions !== next.permissions) this.promoted(before, next);
    if (before.room?.channels !== next.room?.channels) this.channelled(before, next);
    const asked = [...next.questions.values()].filter((question) => !before.questions.has(question.id));
    if (asked[0] && this.panel !== 'questions') {
      this.unseen += asked.length;
      this.say(t('say.question', { text: asked[0].text }));
    }
    const lifted = next.audience.find((hand) => hand.state === 'raised' && !before.audience.some((old) => old.id === hand.id));
    if (lifted) this.say(t('say.audience_hand', { name: lifted.name }), true);
    const opened = [...next.polls.values()].filter((poll) => poll.state === 'open' && before.polls.get(poll.id)?.state !== 'open');
    if (opened[0]) {
      if (this.panel !== 'questions') this.unseen += opened.length;
      this.say(t('say.poll', { text: opened[0].text }), this.panel !== 'questions');
    }
    if (next.waiting.length > before.waiting.length) this.say(t('lobby.waiting', { count: next.waiting.length }));
    const was = before.room?.recording.state;
    const is = next.room?.recording.state;
    // Everybody else is asked by a banner, which says so too.
    if (was !== is && is === 'recording' && next.room?.recording.by === next.me) this.say(t('say.recording_on'), true);
    if (was === 'recording' && is !== 'recording') this.say(t('say.recording_off'));
  }

  /** Somebody gave us another role: what we may not send any more is switched off here too, lights and all. */
  private promoted(before: RoomState, next: RoomState): void {
    const gained = next.permissions.has('publish-audio') && !before.permissions.has('publish-audio');
    const lost = !next.permissions.has('publish-audio') && before.permissions.has('publish-audio');
    const may = gained ? t('say.role_speaks') : lost ? t('say.role_watches') : '';
    if (next.role && next.role !== before.role) this.say(t('say.role', { role: t(`role.${next.role}`), may }).trim(), true);
    const [types, typed] = [next.permissions.has('transcribe'), before.permissions.has('transcribe')];
    if (types && !typed) {
      this.say(t('say.captioner'), true);
      this.panel = 'captioner';
    } else if (typed && !types) {
      this.say(t('say.no_captioner'), true);
      if (this.panel === 'captioner') this.panel = null;
    }
    if (!next.permissions.has('broadcast') && this.panel === 'desk') this.panel = null;
    for (const [source, permission] of [
      ['microphone', 'publish-audio'],
      ['camera', 'publish-video'],
      ['screen-audio', 'publish-screen'],
      ['screen', 'publish-screen'],
    ] as const) {
      if (!next.permissions.has(permission) && this.published[source]) void this.room.publisher.unpublish(source);
    }
    this.localVersion += 1;
  }

  /** One was given a channel, or has it no more. */
  private channelled(before: RoomState, next: RoomState): void {
    const [had, has] = [before, next].map(({ room }) => givenTo(room, next.me).map((channel) => channel.language));
    for (const language of has!) if (!had!.includes(language)) this.say(t('say.interpreter', { language: languageName(language) }), true);
    for (const language of had!) if (!has!.includes(language)) this.say(t('say.no_interpreter', { language: languageName(language) }), true);
  }

  private linkChanged(link: Link): void {
    if (this.link === 'open' && link === 'reconnecting') this.say(t('banner.reconnecting'));
    if (this.link === 'reconnecting' && link === 'open') this.say(t('banner.back'), true);
    this.link = link;
  }

  private chatted(from: string): void {
    if (from === this.state.me || this.panel === 'chat') return;
    this.unread += 1;
    this.say(t('say.chat', { name: this.nameOf(from) }));
  }
}
