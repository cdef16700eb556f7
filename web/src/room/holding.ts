/** A picture for a broadcast's holding page, made small enough to send: the server checks it and makes its own of it. */
const SIDES = [1280, 960, 640];
const MOST = 180_000;

/** Base64 of a JPEG; null where the file is no picture. */
export async function fitted(file: Blob): Promise<string | null> {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  try {
    for (const side of SIDES) {
      const part = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [Math.max(2, Math.round(bitmap.width * part)), Math.max(2, Math.round(bitmap.height * part))];
      const context = canvas.getContext('2d');
      if (!context) return null;
      context.fillStyle = '#fff';
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      for (const quality of [0.9, 0.75]) {
        const made = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/jpeg', quality));
        if (made && made.size <= MOST) return base64(new Uint8Array(await made.arrayBuffer()));
      }
    }
    return null;
  } finally {
    bitmap.close();
  }
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
