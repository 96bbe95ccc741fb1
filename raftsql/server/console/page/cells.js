// @ts-check
/** Values as the node sends them, as people read them: never taken for something they are not. */

import { bytes, count } from './format.js';

/** @typedef {null | number | string | {int: string} | {real: string} | {text: string, length: number} | {blob: string, length: number}} Cell */
/** @typedef {{text: string, kind: 'null' | 'number' | 'text' | 'blob'}} Shown */

/** So much of a value stands in a table; Enter shows what there is. */
const SHOWN_MAX = 300;
const HEX_SHOWN_MAX = 24;

/** One line for a table. @param {Cell} cell @returns {Shown} */
export function brief(cell) {
  if (cell === null || cell === undefined) return { text: 'NULL', kind: 'null' };
  if (typeof cell === 'number') return { text: String(cell), kind: 'number' };
  if (typeof cell === 'string') return { text: line(cell), kind: 'text' };
  if ('int' in cell) return { text: cell.int, kind: 'number' };
  if ('real' in cell) return { text: cell.real, kind: 'number' };
  if ('blob' in cell) {
    const hex = inHex(cell.blob);
    const cut = hex.length > HEX_SHOWN_MAX || 2 * cell.length > hex.length;
    return { text: `x'${hex.slice(0, HEX_SHOWN_MAX)}${cut ? '…' : ''}' ${bytes(cell.length)}`, kind: 'blob' };
  }
  return { text: `${count(cell.length)} characters: ${line(cell.text)}`, kind: 'text' };
}

/** @param {string} text */
function line(text) {
  const cut = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
  return cut.replaceAll('\r\n', '↵').replaceAll('\n', '↵').replaceAll('\r', '↵').replaceAll('\t', '⇥').replaceAll('\0', '␀');
}

/** All that is here of a value, and what is missing. @param {Cell} cell @returns {{text: string, note: string}} */
export function whole(cell) {
  if (cell === null || typeof cell === 'number') return { text: brief(cell).text, note: '' };
  if (typeof cell === 'string') return { text: cell, note: `${count([...cell].length)} characters` };
  if ('blob' in cell) {
    const hex = inHex(cell.blob);
    const all = 2 * cell.length <= hex.length;
    const note = all ? bytes(cell.length) : `the first ${hex.length / 2} of ${count(cell.length)} bytes; export has all of it`;
    return { text: (hex.match(/.{1,32}/g) ?? []).map(dumped).join('\n'), note };
  }
  if ('text' in cell) {
    return { text: cell.text, note: `the first ${count([...cell.text].length)} of ${count(cell.length)} characters; export has all of it` };
  }
  return { text: brief(cell).text, note: '' };
}

/** Sixteen bytes, as hex and as letters. @param {string} hex @param {number} at */
function dumped(hex, at) {
  const pairs = hex.match(/../g) ?? [];
  const letters = pairs.map((pair) => {
    const code = parseInt(pair, 16);
    return code >= 32 && code < 127 ? String.fromCharCode(code) : '·';
  }).join('');
  return `${(16 * at).toString(16).padStart(4, '0')}  ${pairs.join(' ').padEnd(47)}  ${letters}`;
}

/** @param {string} base64 */
function inHex(base64) {
  return [...atob(base64)].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}
