/** How loud an element plays, changed without a jump. */
import type { Attachment } from 'svelte/attachments';

const WITHIN = 250;
const STEP = 25;

interface Knob {
  value: number;
  set: (value: number) => void;
}
const knobs = new WeakMap<HTMLMediaElement, Knob>();
let context: AudioContext | undefined;

/** On an iPhone an element's loudness is the owner's alone: the sound then goes by the Web Audio API, once that runs. */
function throughContext(audio: HTMLMediaElement): Knob {
  context ??= new AudioContext();
  const gain = context.createGain();
  gain.connect(context.destination);
  let from: MediaStreamAudioSourceNode | undefined;
  return {
    value: 1,
    set: (value) => {
      gain.gain.value = value;
      const stream = audio.srcObject;
      if (from && from.mediaStream !== stream) {
        from.disconnect();
        from = undefined;
      }
      if (!from && stream instanceof MediaStream) {
        from = context!.createMediaStreamSource(stream);
        from.connect(gain);
      }
      void context!.resume().then(() => (audio.muted = true));
    },
  };
}

function knobOf(audio: HTMLMediaElement): Knob {
  let knob = knobs.get(audio);
  if (!knob) {
    audio.volume = 0.5;
    const obeys = audio.volume === 0.5;
    audio.volume = 1;
    knob = obeys ? { value: 1, set: (value) => (audio.volume = value) } : throughContext(audio);
    knobs.set(audio, knob);
  }
  return knob;
}

/** Brings an element to this loudness, from 0 to 1, within a quarter of a second. */
export function fade(to: number): Attachment<HTMLMediaElement> {
  return (audio) => {
    if (to === 1 && !knobs.has(audio)) return; // as it is
    const knob = knobOf(audio);
    const [from, began] = [knob.value, performance.now()];
    let timer: ReturnType<typeof setTimeout> | undefined;
    // By the time that has passed, for a page out of sight is given few steps.
    const step = () => {
      const done = Math.min(1, (performance.now() - began) / WITHIN);
      knob.value = from + (to - from) * done;
      knob.set(knob.value);
      if (done < 1) timer = setTimeout(step, STEP);
    };
    step();
    return () => clearTimeout(timer);
  };
}
