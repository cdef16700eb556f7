/**
 * Where a captioner's line ends by itself: after a sentence with room behind it, so that its translation need not wait for
 * the Enter key. 0 where it does not. A short last word before a full stop is an abbreviation for all we know ("Dr.").
 */
export function endsLine(text: string): number {
  const match = /^(?<sentence>.*?(?<last>\S+)[.!?…؟।。！？]["”»)]*)\s+\S*$/su.exec(text);
  if (!match?.groups) return 0;
  const { sentence, last } = match.groups as { sentence: string; last: string };
  const words = sentence.split(/\s+/).filter(Boolean).length;
  const abbreviated = /[.]["”»)]*$/.test(sentence) && last.replace(/[^\p{L}\p{N}]/gu, '').length <= 3;
  return words >= 4 && !abbreviated ? sentence.length : 0;
}
