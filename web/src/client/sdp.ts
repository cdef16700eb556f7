/** The few places where the browser offers no other way than to change the SDP text. */

/** Asks for in-band FEC and discontinuous transmission of Opus: what the answer says is what our encoder does (RFC 7587, 7.1). */
export function withOpusOptions(answer: string): string {
  const lines = answer.split('\r\n');
  const opus = new Set<string>();
  for (const line of lines) {
    const map = /^a=rtpmap:(\d+) opus\/48000/i.exec(line);
    if (map) opus.add(map[1]!);
  }
  const done = new Set<string>();
  const out = lines.map((line) => {
    const format = /^a=fmtp:(\d+) (.*)$/.exec(line);
    if (!format || !opus.has(format[1]!)) return line;
    done.add(format[1]!);
    const parameters = format[2]!.split(';').map((piece) => piece.trim()).filter((piece) => piece && !/^(usedtx|useinbandfec)=/.test(piece));
    return `a=fmtp:${format[1]} ${[...parameters, 'useinbandfec=1', 'usedtx=1'].join(';')}`;
  });
  return out
    .flatMap((line) => {
      const map = /^a=rtpmap:(\d+) opus\/48000/i.exec(line);
      return map && !done.has(map[1]!) ? [line, `a=fmtp:${map[1]} useinbandfec=1;usedtx=1`] : [line];
    })
    .join('\r\n');
}

/** Lost sound is asked for again too: Chromium can, but does not say so by itself. */
export function withOpusNack(answer: string): string {
  return answer.replace(/^(a=rtpmap:(\d+) opus\/48000.*)$/gim, (line: string, _: string, number: string) =>
    answer.includes(`a=rtcp-fb:${number} nack`) ? line : `${line}\r\na=rtcp-fb:${number} nack`,
  );
}

/**
 * Order of preference for video: VP9, H.264 and AV1 can be recorded untouched; VP8 only if there is nothing else. `cheap` leaves
 * out those that cost most to encode, as the server would choose them again.
 */
export function videoPreference<C extends { mimeType: string; sdpFmtpLine?: string }>(codecs: readonly C[], cheap = false): C[] {
  const dear = (codec: C) => /^video\/(vp9|av1|h265)$/i.test(codec.mimeType);
  const affordable = cheap ? codecs.filter((codec) => !dear(codec)) : codecs;
  // A browser that has nothing else keeps what it has.
  if (affordable.some((codec) => /^video\/(h264|vp8)$/i.test(codec.mimeType))) codecs = affordable;
  const rank = (codec: C): number => {
    const name = codec.mimeType.toLowerCase();
    if (name === 'video/vp9') return /profile-id=[1-9]/.test(codec.sdpFmtpLine ?? '') ? 8 : 0;
    if (name === 'video/h264') return 1;
    if (name === 'video/av1') return 2;
    if (name === 'video/vp8') return 3;
    return 9;
  };
  return codecs.map((codec, i) => ({ codec, i })).sort((a, b) => rank(a.codec) - rank(b.codec) || a.i - b.i).map(({ codec }) => codec);
}
