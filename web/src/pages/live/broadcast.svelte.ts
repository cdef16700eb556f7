/** A broadcast as its viewers follow it: how it stands, its captions, and when to look again. */
import type { Question, QuestionRules, Rendered } from '../../client/protocol';
import { i18n } from '../../i18n.svelte';
import { get, HttpError, post, type Failure } from '../../site/http';
import { codeIn, keepCode, keptCode } from '../replay/access';
import { follow } from './stream';
import { Words, type Caption } from './words';

export interface View {
  id: string;
  title: string;
  about: string;
  state: 'scheduled' | 'countdown' | 'live' | 'ending' | 'ended';
  now: number;
  startsAt: number | null;
  at: number | null;
  epoch: number | null;
  playlist: string | null;
  /** Where it can be had by WebRTC. */
  whep: string | null;
  languages: string[];
  questions: QuestionRules;
  replay: { recording: string; code: string } | null;
  token: string | null;
}

/** All questions at the beginning, then what changes. */
interface Board {
  all?: Question[];
  voted?: string[];
  changed?: Question[];
  gone?: string[];
}

/** While no events come: before the people on stage are there, and when the connection is gone. */
const LOOK_MS = 8000;
/** So that an audience that was told the same does not ask at the same moment. */
const SPREAD_MS = 400;

export class Broadcast {
  view = $state.raw<View | null>(null);
  failure = $state<Failure | null>(null);
  /** Grows with every caption that comes. */
  heard = $state(0);
  readonly words = new Words();
  questions = $state.raw<ReadonlyMap<string, Question>>(new Map());
  voted = $state.raw<ReadonlySet<string>>(new Set());
  /** Questions and answers in the reader's language, as ``question:ID``. */
  rendered = $state.raw<ReadonlyMap<string, Rendered>>(new Map());
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
      this.failure = error instanceof HttpError ? error.failure : 'server';
      if (this.failure === 'missing') {
        this.events?.close();
        this.events = null;
        return;
      }
    }
    if (this.view?.state !== 'ended') this.listen();
    else this.stop();
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
    for (const name of ['caption', 'questions', 'rendered', 'changed']) {
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
    else if (name === 'rendered') {
      const rendered = JSON.parse(data) as Rendered;
      this.rendered = new Map(this.rendered).set(`${rendered.of}:${rendered.about}`, rendered);
    } else if (name === 'changed') this.soon(0);
  }

  private board({ all, voted, changed, gone }: Board): void {
    const questions = new Map(all ? [] : this.questions);
    for (const question of all ?? changed ?? []) questions.set(question.id, question);
    for (const question of gone ?? []) questions.delete(question);
    this.questions = questions;
    if (voted) this.voted = new Set(voted);
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

  stop(): void {
    clearTimeout(this.timer);
    this.events?.close();
    this.events = null;
  }

  close(): void {
    this.over = true;
    this.stop();
  }
}
