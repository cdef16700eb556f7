/** Three soft tones to the chosen speaker. */
export async function playTestSound(speaker: string | null): Promise<void> {
  const context = new AudioContext();
  try {
    const sink = context as AudioContext & { setSinkId?: (id: string) => Promise<void> };
    if (speaker && sink.setSinkId) await sink.setSinkId(speaker).catch(() => {});
    await context.resume();
    const begin = context.currentTime + 0.05;
    for (const [i, frequency] of [392, 494, 587].entries()) {
      const tone = context.createOscillator();
      const volume = context.createGain();
      const at = begin + i * 0.32;
      tone.frequency.value = frequency;
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(0.2, at + 0.03);
      volume.gain.exponentialRampToValueAtTime(0.001, at + 0.45);
      tone.connect(volume).connect(context.destination);
      tone.start(at);
      tone.stop(at + 0.5);
    }
    await new Promise((resolve) => setTimeout(resolve, 1300));
  } finally {
    await context.close();
  }
}
