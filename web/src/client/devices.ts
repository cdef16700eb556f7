/** Cameras, microphones and speakers: asking, choosing, and saying in one word why it did not work. */
export type DeviceProblem = 'denied' | 'system' | 'none' | 'busy' | 'insecure' | 'gone' | 'other';

/** Why getUserMedia or getDisplayMedia failed, from its error. */
export function problemOf(error: unknown): DeviceProblem {
  const { name, message } = error as { name?: string; message?: string };
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return /system/i.test(message ?? '') ? 'system' : 'denied';
    case 'NotFoundError':
    case 'DevicesNotFoundError':
      return 'none';
    case 'NotReadableError':
    case 'TrackStartError':
    case 'AbortError':
      return 'busy';
    case 'OverconstrainedError':
      return 'gone';
    case 'InsecureError':
      return 'insecure';
    default:
      return 'other';
  }
}

class InsecureError extends Error {
  override name = 'InsecureError';
}

function media(): MediaDevices {
  // Browsers give no mediaDevices to pages that are neither HTTPS nor localhost.
  if (!navigator.mediaDevices?.getUserMedia) throw new InsecureError('no secure context');
  return navigator.mediaDevices;
}

const wanted = (device: string | null, exact: boolean): MediaTrackConstraints =>
  device ? { deviceId: exact ? { exact: device } : { ideal: device } } : {};

/** Opens a microphone. Rejects with the browser's error; see `problemOf`. */
export async function openMicrophone(device: string | null, exact = false): Promise<MediaStreamTrack> {
  const stream = await media().getUserMedia({
    audio: { ...wanted(device, exact), echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: { ideal: 1 } },
  });
  return stream.getAudioTracks()[0]!;
}

/** Opens a camera at 720p or what it has. */
export async function openCamera(device: string | null, exact = false): Promise<MediaStreamTrack> {
  const stream = await media().getUserMedia({
    video: { ...wanted(device, exact), width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } },
  });
  return stream.getVideoTracks()[0]!;
}

/** Asks what to share; the second track is its sound, when the browser gives it. */
export async function openScreen(): Promise<{ video: MediaStreamTrack; audio: MediaStreamTrack | null }> {
  const devices = media();
  if (!devices.getDisplayMedia) throw new DOMException('not supported', 'NotFoundError');
  const stream = await devices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: true });
  return { video: stream.getVideoTracks()[0]!, audio: stream.getAudioTracks()[0] ?? null };
}

export const canShareScreen = (): boolean => typeof navigator.mediaDevices?.getDisplayMedia === 'function';

export interface DeviceList {
  microphones: MediaDeviceInfo[];
  cameras: MediaDeviceInfo[];
  speakers: MediaDeviceInfo[];
}

/** The devices the browser tells of; names come only after a permission was given. */
export async function listDevices(): Promise<DeviceList> {
  const all = await (navigator.mediaDevices?.enumerateDevices?.() ?? Promise.resolve([])).catch(() => [] as MediaDeviceInfo[]);
  const of = (kind: MediaDeviceKind) => all.filter((device) => device.kind === kind && device.deviceId !== '');
  return { microphones: of('audioinput'), cameras: of('videoinput'), speakers: of('audiooutput') };
}

/** Calls back when devices are plugged in or out; returns how to stop. */
export function watchDevices(changed: () => void): () => void {
  const devices = navigator.mediaDevices;
  devices?.addEventListener?.('devicechange', changed);
  return () => devices?.removeEventListener?.('devicechange', changed);
}

/** What came of opening devices; a camera that nobody wants is null. */
export interface Opened {
  microphone: MediaStreamTrack | DeviceProblem;
  camera: MediaStreamTrack | DeviceProblem | null;
}

/** Opens microphone and camera with one question to the person; what one lacks does not keep the other back. */
export async function openBoth(microphone: string | null, camera: string | null): Promise<Opened> {
  try {
    const stream = await media().getUserMedia({
      audio: { ...wanted(microphone, false), echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: { ideal: 1 } },
      video: { ...wanted(camera, false), width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } },
    });
    return { microphone: stream.getAudioTracks()[0] ?? 'none', camera: stream.getVideoTracks()[0] ?? 'none' };
  } catch (error) {
    const problem = problemOf(error);
    if (problem === 'insecure') return { microphone: problem, camera: problem };
    const states = await Promise.all([permission('microphone'), permission('camera')]);
    // After a plain "no" to both, asking twice more would be a nuisance; a device that is not refused is still worth a try.
    const ask = (i: 0 | 1) => problem !== 'denied' || states[i] === 'granted' || (states[i] === 'prompt' && states[1 - i] === 'denied');
    const alone = (i: 0 | 1, open: () => Promise<MediaStreamTrack>) => (ask(i) ? open().catch(problemOf) : Promise.resolve(problem));
    const first = await alone(0, () => openMicrophone(microphone));
    return { microphone: first, camera: await alone(1, () => openCamera(camera)) };
  }
}

async function permission(name: 'microphone' | 'camera'): Promise<PermissionState | null> {
  try {
    return (await navigator.permissions.query({ name: name as PermissionName })).state;
  } catch {
    return null; // Firefox knows no such names in some versions.
  }
}
