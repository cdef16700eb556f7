/** How loud a track is, for a meter: 0 (silent) to 1 (as loud as speech gets). */
const FLOOR_DB = -60;
const TOP_DB = -12;

/** Maps samples (-1 to 1) to a meter's 0 to 1, by their root mean square on a decibel scale. */
export function level(samples: Float32Array): number {
  if (samples.length === 0) return 0;
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const db = 10 * Math.log10(sum / samples.length || 1e-12);
  return Math.min(1, Math.max(0, (db - FLOOR_DB) / (TOP_DB - FLOOR_DB)));
}

/** Watches a track some fifteen times a second; returns how to stop. Needs a gesture on the page before it moves in some browsers. */
export function meter(track: MediaStreamTrack, show: (level: number) => void): () => void {
  const context = new AudioContext();
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let shown = 0;
  const timer = setInterval(() => {
    if (context.state === 'suspended') void context.resume().catch(() => {});
    analyser.getFloatTimeDomainData(samples);
    shown = Math.max(level(samples), shown * 0.8); // Up at once, down gently.
    show(shown);
  }, 66);
  return () => {
    clearInterval(timer);
    source.disconnect();
    void context.close();
  };
}
