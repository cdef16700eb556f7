/** Whether there is a microphone and a camera, and whether this page may use them, without asking for them. */
export type Presence = 'ready' | 'ask' | 'denied' | 'none' | 'insecure';

export async function presence(kind: 'microphone' | 'camera'): Promise<Presence> {
  if (!navigator.mediaDevices?.enumerateDevices) return 'insecure';
  const wanted = kind === 'microphone' ? 'audioinput' : 'videoinput';
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  if (!devices.some((device) => device.kind === wanted)) return 'none';
  try {
    const { state } = await navigator.permissions.query({ name: kind as PermissionName });
    return state === 'granted' ? 'ready' : state === 'denied' ? 'denied' : 'ask';
  } catch {
    // Some browsers do not say; a label is only given to pages that may use the device.
    return devices.some((device) => device.kind === wanted && device.label) ? 'ready' : 'ask';
  }
}
