/** A broadcast as its viewers follow it: how it stands, its captions, and when to look again. */
import { taken } from '../../client/board';
import type { Poll, Question, QuestionRules, Reaction, Rendered } from '../../client/protocol';
import { Reactions } from '../../components/reactions.svelte';
import { i18n } from '../../i18n.svelte';
import { get, HttpError, post, type Failure } from '../../site/http';
import { codeIn, keepCode, keptCode } from '../replay/access';
import { follow } from './stream';
import type { Report } from './viewing';
import { Words, type Caption } from './words';

export interface View {
  id: string;
  title: string;
  about: string;
  state: 'scheduled' | 'countdown' | 'live' | 'paused' | 'ending' | 'ended';
  now: number;
  startsAt: number | null;
  at: number | null;
  epoch: number | null;
  /** The room's time at the programme's 0. */
  origin: number | null;
  playlist: string | null;
  /** Where it can be had by WebRTC. */
  whep: string | null;
  /** Whether a second picture comes by WebRTC, of who signs. */
  signs: boolean;
  /** The languages that interpreters are heard in, by HLS. */
  channels: string[];
  languages: string[];
  questions: QuestionRules;
  hands: boolean;
  /** That of the holding page. */
  image: string | null;
  replay: { recording: string; code: string } | null;
  /** When there was nothing to see, in ms of the programme; without an end while it lasts. */
  pauses: { start: number; end: number | null }[];
  token: string | null;
}

/** How one's own hand stands, and whether any may be raised. */
export interface Standing {
  state: 'down' | 'raised' | 'invited' | 'stage';
  open: boolean;
}

/** Somebody's name over the picture; ms of the programme. */
export interface Third {
  name: string;
  institution: string;
  color: number;
  start: number;
  end: number;
}

/** What opens the stage, for who was invited. */
export interface Granted {
  room: string;
  title: string;
  grant: string;
}

/** All questions at the beginning, then what changes. */
interface Board {
  all?: Question[];
  voted?: string[];
  changed?: Question[];
  gone?: string[];
  /** What one asked oneself, which counts as a vote. */
  mine?: string[];
}

/** The same of polls, with what one chose. */
interface Ballots {
  all?: Poll[];
  ballots?: Record<string, number[]>;
  changed?: Poll[];
  gone?: string[];
}

/** It is for people with an account; it needs a ticket; the ticket is used elsewhere. */
export type Barred = 'login' | 'ticket' | 'taken';
const barred: Partial<Record<string, Barred>> = { login: 'login', ticket: 'ticket', taken: 'taken' };

/** While no events come: before the people on stage are there, and when the connection is gone. */
const LOOK_MS = 8000;
/** So that an audience that was told the same does not ask at the same moment. */
const SPREAD_MS = 400;

export class Broadcast {
  view = $state.raw<View | null>(null);
  failure = $state<Failure | null>(null);
  /** Why the broadcast is not for whoever looks. */
  barred = $state<Barred | null>(null);
  readonly reactions = new Reactions();
  /** Grows with every caption that comes. */
  heard = $state(0);
  readonly words = new Words();
  questions = $state.raw<ReadonlyMap<string, Question>>(new Map());
  voted = $state.raw<ReadonlySet<string>>(new Set());
  polls = $state.raw<ReadonlyMap<string, Poll>>(new Map());
  ballots = $state.raw<ReadonlyMap<string, number[]>>(new Map());
  /** Questions and answers in the reader's language, as ``question:ID``. */
  rendered = $state.raw<ReadonlyMap<string, Rendered>>(new Map());
  stage = $state.raw<Standing>({ state: 'down', open: false });
  /** Second of the programme that is seen now; null while none is. */
  second = $state<number | null>(null);
  /** In the order in which they are shown. */
  thirds: readonly Third[] = [];
  /** What to add to this computer's clock to have the server's. */
  skew = 0;

  /** Stands for the cookie inside another site's page. */
  token: string | null = null;

  private events: { close(): void } | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private language: string | null = null;
  private over = false;
  private readonly path: string;
  private code: string | null = null;

  constructor(
    readonly id: string,
    private readonly embedded = false,
  ) {
    this.path = `/api/live/${encodeURIComponent(id)}`;
  }

  /** Comes in with the link's code or with the cookie of an earlier visit. Returns whether the address has a secret. */
  async open(hash: string): Promise<boolean> {
    const fresh = codeIn(hash);
    this.code = fresh;
    if (fresh) this.failure = this.barred = null;
    if (fresh && !this.embedded) keepCode(`live.${this.id}`, fresh);
    await this.look(fresh !== null);
    return fresh !== null;
  }

  private async look(redeem = false): Promise<void> {
    clearTimeout(this.timer);
    const code = this.embedded ? this.code : keptCode(`live.${this.id}`);
    const come = () => post<View>(`${this.path}/access`, { code, embed: this.embedded }, this.headers);
    try {
      let view: View;
      try {
        view = redeem && code ? await come() : await get<View>(this.path, this.headers);
      } catch (error) {
        if (!(error instanceof HttpError) || error.failure !== 'missing' || redeem || !code) throw error;
        view = await come();
      }
      if (this.over) return;
      this.token = view.token ?? this.token;
      this.skew = view.now - Date.now();
      this.failure = null;
      this.view = view;
    } catch (error) {
      if (this.over) return;
      this.fail(error);
      if (this.kept) return;
    }
    if (this.view?.state !== 'ended') this.listen();
    else this.stop();
  }

  private fail(error: unknown): void {
    const shut = error instanceof HttpError ? barred[error.code] : undefined;
    this.barred = shut ?? null;
    this.failure = error instanceof HttpError ? error.failure : 'server';
    if (!this.kept) return;
    // It is not for whoever looks, or not any more: nothing of it stays on the page.
    if (shut) this.view = null;
    this.stop();
  }

  private get kept(): boolean {
    return this.barred !== null || this.failure === 'missing';
  }

  /** Comes in anew, with the ticket or after signing in. */
  again(): void {
    this.failure = this.barred = null;
    void this.look(true);
  }

  private get headers(): Record<string, string> | undefined {
    return this.token ? { authorization: `Bearer ${this.token}` } : undefined;
  }

  /** Asks again soon, not at once. */
  private soon(milliseconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.look(), milliseconds + Math.random() * SPREAD_MS);
  }

  /** Whose captions are wanted; null: the original only. */
  read(language: string | null): void {
    if (language === this.language) return;
    this.language = language;
    this.rendered = new Map();
    if (!this.events) return;
    this.events.close();
    this.events = null;
    this.listen();
  }

  private listen(): void {
    if (this.over || this.events) return;
    const wanted = this.language && this.view?.languages.includes(this.language) ? `?language=${encodeURIComponent(this.language)}` : '';
    if (this.token) {
      const close = follow(`${this.path}/events${wanted}`, this.token, ({ name, data }) => this.heed(name, data), () => ((this.events = null), this.soon(LOOK_MS)));
      this.events = { close };
      return;
    }
    const events = new EventSource(`${this.path}/events${wanted}`);
    this.events = events;
    for (const name of ['caption', 'questions', 'polls', 'reacted', 'rendered', 'stage', 'thirds', 'third', 'changed', 'taken']) {
      events.addEventListener(name, (event: MessageEvent<string>) => this.heed(name, event.data));
    }
    events.addEventListener('error', () => {
      // A browser tries again by itself while the address answers; a refusal ends it.
      if (events.readyState !== EventSource.CLOSED || this.events !== events) return;
      this.events = null;
      this.soon(LOOK_MS);
    });
  }

  private heed(name: string, data: string): void {
    if (name === 'caption') {
      this.words.take(JSON.parse(data) as Caption, Date.now() + this.skew - (this.view?.epoch ?? 0));
      this.heard += 1;
    } else if (name === 'questions') this.board(JSON.parse(data) as Board);
    else if (name === 'reacted') this.reactions.take(JSON.parse(data) as Partial<Record<Reaction, number>>);
    else if (name === 'polls') this.asked(JSON.parse(data) as Ballots);
    else if (name === 'rendered') {
      const rendered = JSON.parse(data) as Rendered;
      this.rendered = new Map(this.rendered).set(`${rendered.of}:${rendered.about}`, rendered);
    } else if (name === 'thirds') this.thirds = JSON.parse(data) as Third[];
    else if (name === 'third') this.thirds = [...this.thirds, JSON.parse(data) as Third];
    else if (name === 'stage') this.stage = JSON.parse(data) as Standing;
    else if (name === 'changed') this.soon(0);
    else if (name === 'taken') this.fail(new HttpError('conflict', 409, 'taken'));
  }

  /** Whether a question's answer is heard now: not before whoever is some seconds behind hears it. */
  isHeard(question: Question): boolean {
    const origin = this.view?.origin ?? null;
    if (question.state !== 'live' || origin === null || this.second === null) return question.state === 'live';
    return ((question.liveAt ?? 0) - origin) / 1000 <= this.second + 1;
  }

  private board({ all, voted, changed, gone, mine }: Board): void {
    this.questions = all ? new Map(all.map((question) => [question.id, question])) : taken(this.questions, this.voted, changed ?? [], gone ?? []);
    if (voted) this.voted = new Set(voted);
    if (mine) this.voted = new Set([...this.voted, ...mine]);
  }

  private asked({ all, ballots, changed, gone }: Ballots): void {
    const polls = new Map(all ? [] : this.polls);
    for (const poll of all ?? changed ?? []) polls.set(poll.id, poll);
    for (const poll of gone ?? []) polls.delete(poll);
    this.polls = polls;
    if (ballots) this.ballots = new Map(Object.entries(ballots));
  }

  /** @throws HttpError */
  async react(reaction: Reaction): Promise<void> {
    await post(`${this.path}/reactions`, { reaction }, this.headers);
  }

  /** How it comes to this page. Returns the seconds after which to tell again. @throws HttpError */
  async report(report: Report): Promise<number> {
    const { again } = await post<{ again: number }>(`${this.path}/report`, report, this.headers);
    return again;
  }

  /** @throws HttpError */
  async choose(poll: string, choices: number[]): Promise<void> {
    await post(`${this.path}/ballots`, { poll, choices }, this.headers);
    this.ballots = new Map(this.ballots).set(poll, choices);
  }

  /** @throws HttpError */
  async ask(key: string, text: string, name: string | null): Promise<void> {
    await post(`${this.path}/questions`, { key, text, name, language: i18n.language }, this.headers);
  }

  /** @throws HttpError */
  async vote(question: string, up: boolean): Promise<void> {
    await post(`${this.path}/votes`, { question, up }, this.headers);
    const voted = new Set(this.voted);
    if (up) voted.add(question);
    else voted.delete(question);
    this.voted = voted;
  }

  /** Raises one's hand, or takes it down and declines. @throws HttpError */
  async hand(raised: boolean, name: string | null = null): Promise<void> {
    await post(`${this.path}/hand`, { raised, name }, this.headers);
  }

  /** An invitation is taken up. @throws HttpError */
  async comeOnStage(): Promise<Granted> {
    return post<Granted>(`${this.path}/stage`, undefined, this.headers);
  }

  /** Follows the broadcast again, after the stage. */
  resume(): void {
    void this.look();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.events?.close();
    this.events = null;
  }

  close(): void {
    this.over = true;
    this.reactions.close();
    this.stop();
  }
}
