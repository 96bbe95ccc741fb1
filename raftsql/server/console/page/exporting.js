// @ts-check
/** All of a result as a file. It goes to the browser's store as it comes, not to this page's memory. */

import { send, words } from './api.js';
import { notice } from './dialog.js';
import { h, say } from './dom.js';
import { bytes } from './format.js';

const PIECE_BYTES = 4 << 20;

/**
 * @param {'csv' | 'json'} format
 * @param {object} query `sql`, `parameters`, `consistency`
 * @param {HTMLElement} progress where to say how far it is, and to offer an end
 */
export async function exported(format, query, progress) {
  const controller = new AbortController();
  const text = h('span', {}, `Exporting as ${format} …`);
  progress.replaceChildren(text, h('button', { class: 'small', onclick: () => controller.abort() }, 'Stop'));
  progress.hidden = false;
  try {
    const response = await send('POST', 'export', { ...query, format }, controller.signal);
    const file = await gathered(response, (size) => say(text, `Exporting as ${format}: ${bytes(size)}`));
    download(file, `result.${format}`);
    notice(`Exported ${bytes(file.size)} as result.${format}.`);
  } catch (error) {
    if (!controller.signal.aborted) notice(`The export ended: ${words(error)}`, 'bad');
  } finally {
    progress.hidden = true;
  }
}

/** A blob of pieces: browsers put large ones on disk. @param {Response} response @param {(size: number) => void} told */
async function gathered(response, told) {
  const type = response.headers.get('Content-Type') ?? 'application/octet-stream';
  const reader = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (response.body).getReader();
  /** @type {Blob[]} */
  const pieces = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  let waiting = [];
  let waits = 0;
  let size = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (value) {
      waiting.push(value);
      waits += value.length;
      size += value.length;
    }
    if (waits > PIECE_BYTES || done) {
      pieces.push(new Blob(waiting));
      waiting = [];
      waits = 0;
      told(size);
    }
    if (done) return new Blob(pieces, { type });
  }
}

/** @param {Blob} file @param {string} name */
export function download(file, name) {
  const url = URL.createObjectURL(file);
  const link = h('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
