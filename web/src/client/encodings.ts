/** How each source is encoded: what the browser is asked for when it starts to send, and what it may leave out later. */
import type { Source } from './protocol';

/** As the standards have it (WebRTC SVC); TypeScript's own library does not know the field yet. */
type Encoding = RTCRtpEncodingParameters & { scalabilityMode?: string };

/**
 * A camera comes in three sizes, so that every viewer gets one that fits; the names mean quarter, half and full. The scalability
 * mode is said outright: without it Chromium takes several VP9 encodings for spatial layers of one. Two temporal layers let a
 * viewer's frame rate halve before the smallest picture goes.
 */
const CAMERA: Encoding[] = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000, maxFramerate: 30, scalabilityMode: 'L1T2' },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000, maxFramerate: 30, scalabilityMode: 'L1T2' },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_500_000, maxFramerate: 30, scalabilityMode: 'L1T2' },
];

const SINGLE: Record<Exclude<Source, 'camera'>, Encoding> = {
  microphone: { maxBitrate: 40_000, priority: 'high', networkPriority: 'high' },
  screen: { maxBitrate: 2_500_000, maxFramerate: 15, scalabilityMode: 'L1T2' },
  'screen-audio': { maxBitrate: 96_000 },
};

/** What the encoder should care about: text of a screen stays sharp, a face moves smoothly, a voice is understood. */
export const HINTS: Record<Source, string> = { microphone: 'speech', camera: 'motion', screen: 'detail', 'screen-audio': '' };

/**
 * How many sizes a camera of this size is worth. Chromium silently leaves out the last of a list that is too long: three need 960
 * pixels of width, two need 480.
 */
export function sizesOf(settings: { width?: number; height?: number }): number {
  const longer = Math.max(settings.width ?? 1280, settings.height ?? 0);
  return longer >= 960 ? 3 : longer >= 480 ? 2 : 1;
}

/** The encodings to ask for, the best guess first: what a browser refuses is followed by something plainer. */
export function encodingsFor(source: Source, sizes = 3): RTCRtpEncodingParameters[][] {
  const camera = sizes > 1 ? CAMERA.slice(-sizes) : [{ maxBitrate: 500_000, maxFramerate: 30, scalabilityMode: 'L1T2' }];
  const wanted: Encoding[] = source === 'camera' ? camera : [SINGLE[source]];
  const plain = wanted.map(({ scalabilityMode: _, ...rest }) => rest);
  const one = source === 'camera' ? { maxBitrate: 1_500_000, maxFramerate: 30 } : plain[0]!;
  return [wanted, plain, [one]].map((list) => list.map((encoding) => ({ ...encoding })));
}

type Tunable = RTCRtpSendParameters & { degradationPreference?: string };

/** Switches encodings on and off by rid; true when something had to change. A single encoding has no rid and is left alone. */
export function activate(parameters: RTCRtpSendParameters, wanted: ReadonlySet<string>): boolean {
  let changed = false;
  for (const encoding of parameters.encodings ?? []) {
    if (!encoding.rid) continue;
    const active = wanted.has(encoding.rid);
    if ((encoding.active ?? true) !== active) {
      encoding.active = active;
      changed = true;
    }
  }
  return changed;
}

/** What gives way when bandwidth or the processor is short: frames of a screen, resolution of a face is left to the browser. */
export function preferResolution(parameters: Tunable): void {
  parameters.degradationPreference = 'maintain-resolution';
}

/** Encodings of a sender, the largest last. */
export function ridsOf(parameters: RTCRtpSendParameters): string[] {
  const rids = (parameters.encodings ?? []).map((encoding) => encoding.rid).filter((rid): rid is string => !!rid);
  return [...rids].sort((a, b) => 'qhf'.indexOf(a) - 'qhf'.indexOf(b));
}
