/** The acts of the control bar: what they are called, their keys, whether they are on. One table for the bar, the menu, the keyboard and the help. */
import Captions from '@lucide/svelte/icons/captions';
import CaptionsOff from '@lucide/svelte/icons/captions-off';
import CircleDot from '@lucide/svelte/icons/circle-dot';
import Gauge from '@lucide/svelte/icons/gauge';
import Headphones from '@lucide/svelte/icons/headphones';
import Hand from '@lucide/svelte/icons/hand';
import Languages from '@lucide/svelte/icons/languages';
import Keyboard from '@lucide/svelte/icons/keyboard';
import TextCursorInput from '@lucide/svelte/icons/text-cursor-input';
import LayoutGrid from '@lucide/svelte/icons/layout-grid';
import CircleHelp from '@lucide/svelte/icons/circle-question-mark';
import MessageSquare from '@lucide/svelte/icons/message-square';
import Mic from '@lucide/svelte/icons/mic';
import MicOff from '@lucide/svelte/icons/mic-off';
import MonitorUp from '@lucide/svelte/icons/monitor-up';
import MonitorX from '@lucide/svelte/icons/monitor-x';
import Radio from '@lucide/svelte/icons/radio';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import Settings from '@lucide/svelte/icons/settings';
import Smile from '@lucide/svelte/icons/smile';
import Square from '@lucide/svelte/icons/square';
import PanelRight from '@lucide/svelte/icons/panel-right';
import Users from '@lucide/svelte/icons/users';
import Video from '@lucide/svelte/icons/video';
import VideoOff from '@lucide/svelte/icons/video-off';
import type { Component } from 'svelte';
import { givenTo, spokenInto } from '../client/channels';
import { canShareScreen } from '../client/devices';
import type { MessageKey } from '../i18n.svelte';
import { preferences } from '../preferences.svelte';
import type { Session } from './session.svelte';

export interface Control {
  id: string;
  key: string;
  icon: Component<{ size?: number }>;
  label: MessageKey;
  /** Undefined: not a switch. */
  pressed?: boolean;
  /** Off in a way one should notice: a muted microphone. */
  off?: boolean;
  danger?: boolean;
  badge?: number;
  disabled?: boolean;
  /** Stays in the bar of a phone; the rest moves into the menu. */
  first: boolean;
  run: () => void;
}

export interface Acts {
  record: () => void;
  broadcast: () => void;
  audio: () => void;
  settings: () => void;
  help: () => void;
  speaker: boolean;
}

export function controls(session: Session, acts: Acts): Control[] {
  const { recording } = session;
  const recorded = recording?.state === 'recording' || recording?.state === 'starting' || recording?.state === 'stopping';
  const aired = session.state.room?.broadcast?.state;
  const channels = session.state.room?.channels ?? [];
  const mine = givenTo(session.state.room, session.state.me);
  const air = spokenInto(session.state.room, session.state.me);
  const table: (Control | false)[] = [
    (session.may('publish-audio') || session.published.microphone !== undefined) && {
      id: 'microphone',
      key: 'd',
      icon: session.micOn ? Mic : MicOff,
      label: session.micOn ? 'bar.mic_on' : 'bar.mic_off',
      pressed: session.micOn,
      off: !session.micOn,
      disabled: session.busy.microphone,
      first: true,
      run: () => void session.toggleMicrophone(),
    },
    (session.may('publish-video') || session.published.camera !== undefined) && {
      id: 'camera',
      key: 'e',
      icon: session.cameraOn ? Video : VideoOff,
      label: session.cameraOn ? 'bar.camera_on' : 'bar.camera_off',
      pressed: session.cameraOn,
      off: !session.cameraOn,
      disabled: session.busy.camera,
      first: true,
      run: () => void session.toggleCamera(),
    },
    session.may('publish-screen') &&
      canShareScreen() && {
        id: 'share',
        key: 's',
        icon: session.sharing ? MonitorX : MonitorUp,
        label: session.sharing ? 'bar.sharing' : 'bar.share',
        pressed: session.sharing,
        disabled: session.busy.screen,
        first: false,
        run: () => void session.toggleScreen(),
      },
    {
      id: 'captions',
      key: 'c',
      icon: preferences.captions ? Captions : CaptionsOff,
      label: 'bar.captions',
      pressed: preferences.captions,
      first: true,
      run: () => session.toggleCaptions(),
    },
    mine.length > 0 && {
      id: 'interpret',
      key: 'i',
      icon: Languages,
      label: air ? 'bar.interpreting' : 'bar.interpret',
      pressed: air !== null,
      danger: air !== null,
      first: true,
      run: () => void session.takeChannel(air ? null : (mine.find((channel) => channel.language === session.lastAir) ?? mine[0]!).language),
    },
    channels.length > 0 && {
      id: 'audio',
      key: 'a',
      icon: Headphones,
      label: 'bar.audio',
      pressed: channels.some((channel) => channel.language === session.hears),
      first: true,
      run: acts.audio,
    },
    session.may('hand') && {
      id: 'hand',
      key: 'h',
      icon: Hand,
      label: 'bar.hand',
      pressed: session.me?.hand != null,
      first: true,
      run: () => void session.toggleHand(),
    },
    {
      id: 'react',
      key: 'y',
      icon: Smile,
      label: 'bar.react',
      pressed: session.reacting,
      first: false,
      run: () => (session.reacting = !session.reacting),
    },
    {
      id: 'chat',
      key: 'm',
      icon: MessageSquare,
      label: 'bar.chat',
      pressed: session.panel === 'chat',
      badge: session.unread,
      first: true,
      run: () => session.togglePanel('chat'),
    },
    (session.state.room?.questions?.open || session.state.questions.size > 0 || session.may('moderate')) && {
      id: 'questions',
      key: 'q',
      icon: CircleHelp,
      label: 'bar.questions',
      pressed: session.panel === 'questions',
      badge: session.unseen,
      first: false,
      run: () => session.togglePanel('questions'),
    },
    {
      id: 'people',
      key: 'p',
      icon: Users,
      label: 'bar.people',
      pressed: session.panel === 'people',
      badge: (session.may('moderate') ? session.state.waiting.length : 0) + session.state.audience.filter((hand) => hand.state === 'raised').length,
      first: false,
      run: () => session.togglePanel('people'),
    },
    {
      id: 'transcript',
      key: 't',
      icon: ScrollText,
      label: 'bar.transcript',
      pressed: session.panel === 'transcript',
      first: false,
      run: () => session.togglePanel('transcript'),
    },
    session.may('transcribe') && {
      id: 'captioner',
      key: 'k',
      icon: TextCursorInput,
      label: 'bar.captioner',
      pressed: session.panel === 'captioner',
      first: true,
      run: () => session.togglePanel('captioner'),
    },
    session.may('record') && {
      id: 'record',
      key: 'r',
      icon: recorded ? Square : CircleDot,
      label: recorded ? 'bar.recording' : 'bar.record',
      pressed: recorded,
      danger: recorded,
      disabled: recording?.state === 'starting' || recording?.state === 'stopping',
      first: false,
      run: acts.record,
    },
    session.may('broadcast') && {
      id: 'broadcast',
      key: 'b',
      icon: Radio,
      label: aired === 'paused' ? 'bar.paused' : aired === 'live' ? 'bar.on_air' : 'bar.broadcast',
      pressed: aired === 'live' || aired === 'paused',
      danger: aired === 'live',
      first: false,
      run: acts.broadcast,
    },
    session.may('broadcast') &&
      aired !== undefined && {
        id: 'desk',
        key: 'o',
        icon: Gauge,
        label: 'bar.desk',
        pressed: session.panel === 'desk',
        first: false,
        run: () => session.togglePanel('desk'),
      },
    {
      id: 'layout',
      key: 'l',
      icon: acts.speaker ? LayoutGrid : PanelRight,
      label: acts.speaker ? 'bar.grid' : 'bar.speaker',
      first: false,
      run: () => session.toggleLayout(acts.speaker),
    },
    { id: 'settings', key: ',', icon: Settings, label: 'bar.settings', first: false, run: acts.settings },
    { id: 'help', key: '?', icon: Keyboard, label: 'bar.help', first: false, run: acts.help },
  ];
  return table.filter((control) => control !== false);
}
