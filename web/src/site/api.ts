/** The HTTP API outside the room, as the pages use it (signaling/api.py; /api/openapi.json). */
import type { Role } from '../client/protocol';
import { get, HttpError, post, remove, request } from './http';

export interface Me {
  id: string;
  name: string;
  email: string;
  role: 'admin' | 'member';
}
export interface RoomLink {
  role: Role;
  url: string;
}
/** A new room with its links, which the server shows only once. */
export interface NewRoom {
  room: string;
  name: string;
  links: RoomLink[];
}
export interface Config {
  mayCreateRooms: boolean;
  needsSetup: boolean;
}
export interface RecordingRow {
  id: string;
  title: string;
  purpose: string;
  room: string;
  startedBy: string;
  startedAt: string;
  endedAt: string | null;
  state: 'recording' | 'ready' | 'failed';
  problem: string | null;
}
export interface AuditRow {
  at: string;
  room: string | null;
  actor: string;
  act: string;
  subject: string | null;
}
export interface ConsentRow {
  id: number;
  at: string;
  recording: string;
  title: string;
  purpose: string;
  startedBy: string;
  name: string;
  answer: 'told' | 'agreed' | 'refused';
  kept: boolean;
}
export interface Room {
  id: string;
  name: string;
  lobby: boolean;
  createdAt: string;
}

export interface Account {
  id: string;
  name: string;
  email: string;
  role: Me['role'];
  disabled: boolean;
  createdAt: string;
}
/** `path` only when it is made: the server keeps the code as a hash. */
export interface Invitation {
  id: string;
  role: Me['role'];
  note: string;
  member: string | null;
  createdAt: string;
  expiresAt: string;
  path: string | null;
}
/** A recording, or a passage of one, that was shared with a group that one is in. */
export interface SharedWithMe {
  id: string;
  title: string;
  path: string;
  startedAt: string;
}
export interface Group {
  id: string;
  name: string;
  /** Told to administrators only. */
  members: string[];
}

const at = encodeURIComponent;
const FLAG = 'consilium.member';

/** Whether somebody logged in here once: visitors without an account are spared a question that the server would refuse. */
function flag(set?: boolean): boolean {
  try {
    if (set === true) localStorage.setItem(FLAG, '1');
    if (set === false) localStorage.removeItem(FLAG);
    return localStorage.getItem(FLAG) === '1';
  } catch {
    return true;
  }
}

/** Who is logged in in this browser, or null. */
export async function me(): Promise<Me | null> {
  if (!flag()) return null;
  try {
    return await get<Me>('/api/me');
  } catch (error) {
    if (!(error instanceof HttpError) || error.failure !== 'login') throw error;
    flag(false);
    return null;
  }
}

export async function logIn(email: string, password: string): Promise<Me> {
  const member = await post<Me>('/api/login', { email, password });
  flag(true);
  return member;
}

export async function logOut(): Promise<void> {
  await post('/api/logout');
  flag(false);
}

export async function setUp(code: string, email: string, name: string, password: string): Promise<Me> {
  const member = await post<Me>(`/api/setup/${at(code)}`, { email, name, password });
  flag(true);
  return member;
}

export const config = () => get<Config>('/api/config');

export async function createRoom(name: string, lobby: boolean): Promise<NewRoom> {
  const made = await post<{ room: string; name: string; links: { host: string; guest: string; viewer: string } }>('/api/rooms', { name, lobby });
  const { host, guest, viewer } = made.links;
  return {
    room: made.room,
    name: made.name,
    links: [
      { role: 'host', url: host },
      { role: 'participant', url: guest },
      { role: 'viewer', url: viewer },
    ],
  };
}

export const rooms = () => get<Room[]>('/api/rooms');
export const agendaOf = (room: string) => get<{ items: string[] }>(`/api/rooms/${at(room)}/agenda`);
export const setAgenda = (room: string, items: string[]) => request('PUT', `/api/rooms/${at(room)}/agenda`, { items });
export const createLink = (room: string, role: Role) => post<RoomLink>(`/api/rooms/${at(room)}/links`, { role });
export const revokeLink = (room: string, code: string) => post(`/api/rooms/${at(room)}/links/revoke`, { code });

export const recordings = () => get<RecordingRow[]>('/api/recordings');
export const renameRecording = (id: string, title: string) => request<{ title: string }>('PUT', `/api/recordings/${at(id)}/title`, { title });
export const deleteRecording = (id: string) => remove(`/api/recordings/${at(id)}`);
export const consents = (before?: number) =>
  get<{ answers: ConsentRow[]; more: number | null }>(`/api/consents${before === undefined ? '' : `?before=${before}`}`);
export const members = () => get<Account[]>('/api/members');
export const changeMember = (id: string, change: Partial<Pick<Account, 'name' | 'role' | 'disabled'>>) => request<Account>('PATCH', `/api/members/${at(id)}`, change);
export const invitations = () => get<Invitation[]>('/api/invitations');
export const invite = (asked: { role?: Me['role']; note?: string; groups?: string[]; member?: string }) => post<Invitation>('/api/invitations', asked);
export const withdraw = (id: string) => remove(`/api/invitations/${at(id)}`);
export const groups = () => get<Group[]>('/api/groups');
export const createGroup = (name: string) => post<Group>('/api/groups', { name });
export const setGroup = (id: string, people: string[]) => request('PUT', `/api/groups/${at(id)}/members`, { members: people });
export const removeGroup = (id: string) => remove(`/api/groups/${at(id)}`);
export const shared = () => get<SharedWithMe[]>('/api/shared');

/** What an invitation is for: a new account, or a new password of the one that is named. */
export const invitation = (code: string) => post<{ email: string | null; name: string | null }>('/api/invitation', { code });
export async function accept(code: string, password: string, email?: string, name?: string): Promise<Me> {
  const member = await post<Me>('/api/invitation/accept', { code, password, ...(email && { email }), ...(name && { name }) });
  flag(true);
  return member;
}
export const audit = () => get<AuditRow[]>('/api/audit');
