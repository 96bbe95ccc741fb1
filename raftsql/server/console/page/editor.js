// @ts-check
/**
 * A text field that shows SQL in colours: a textarea whose letters can't be seen, over the same text
 * in colours that can. Selection, undo, spelling of other scripts and screen readers are the field's.
 */

import { Completion } from './completion.js';
import { fill, h, say } from './dom.js';
import { coloured } from './highlight.js';

/** @typedef {import('./highlight.js').Mark} Mark */

export class Editor extends EventTarget {
  /** @param {() => import('./catalogue.js').Catalogue} catalogue */
  constructor(catalogue) {
    super();
    /** @type {Mark[]} */
    this.marks = [];
    this.inserting = false;
    this.field = h('textarea', {
      class: 'text', id: 'sql', 'aria-label': 'SQL', spellcheck: 'false', autocomplete: 'off',
      autocapitalize: 'off', wrap: 'off', rows: 6,
      placeholder: 'SELECT …    Ctrl-Enter runs it',
      oninput: () => this.inserting || this.changed(), onscroll: () => { this.aligned(); this.completion.close(); },
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event),
      onselect: () => this.dispatchEvent(new Event('select')),
    });
    this.code = h('code');
    this.numbers = h('pre', { class: 'numbers', 'aria-hidden': 'true' });
    this.shade = h('pre', { class: 'shade', 'aria-hidden': 'true' }, this.code);
    this.element = h('div', { class: 'editor' }, h('div', { class: 'frame' }, this.numbers, this.shade, this.field));
    this.completion = new Completion(this, catalogue);
    this.element.append(this.completion.element);
    this.draw();
  }

  get text() {
    return this.field.value;
  }

  /** The selection if there is one, else all; and where it starts. @returns {{sql: string, start: number}} */
  get chosen() {
    const { selectionStart, selectionEnd, value } = this.field;
    const some = value.slice(selectionStart, selectionEnd);
    return some.trim() ? { sql: some, start: selectionStart } : { sql: value, start: 0 };
  }

  /** Put another text in, so that it can be undone. @param {string} text */
  replace(text) {
    this.field.focus();
    this.field.select();
    this.insert(text);
    this.field.setSelectionRange(text.length, text.length);
  }

  /** Type a text where the cursor is. @param {string} text */
  insert(text) {
    // Browsers tell of each line that comes in: it is looked at once, when all of it is there.
    this.inserting = true;
    // The one way that keeps the field's undo; deprecated, and without a successor.
    if (!document.execCommand('insertText', false, text)) {
      const { selectionStart, selectionEnd } = this.field;
      this.field.setRangeText(text, selectionStart, selectionEnd, 'end');
    }
    this.inserting = false;
    this.changed();
  }

  /** @param {string} text */
  restore(text) {
    this.field.value = text;
    this.draw();
  }

  changed() {
    this.marks = [];
    this.draw();
    this.completion.typed();
    this.dispatchEvent(new Event('change'));
  }

  /** @param {Mark[]} marks */
  mark(marks) {
    if (marks.length === 0 && this.marks.length === 0) return;
    this.marks = marks;
    this.draw();
  }

  /** @param {number} at */
  goTo(at) {
    this.field.focus();
    this.field.setSelectionRange(at, at);
    const line = this.text.slice(0, at).split('\n').length - 1;
    const height = this.field.scrollHeight / Math.max(this.text.split('\n').length, 1);
    if (line * height < this.field.scrollTop || (line + 2) * height > this.field.scrollTop + this.field.clientHeight) {
      this.field.scrollTop = Math.max(0, (line - 2) * height);
    }
  }

  draw() {
    // A last line without letters has no height unless something is in it.
    fill(this.code, coloured(this.text, this.marks), '\n');
    const lines = this.text.split('\n').length;
    say(this.numbers, Array.from({ length: lines }, (_, at) => at + 1).join('\n'));
    this.aligned();
  }

  /** What is beneath stands where the field's own letters do. */
  aligned() {
    this.shade.scrollTop = this.field.scrollTop;
    this.shade.scrollLeft = this.field.scrollLeft;
    this.numbers.scrollTop = this.field.scrollTop;
  }

  /** Where a letter stands on the page. @param {number} at @returns {DOMRect} */
  placeOf(at) {
    const walker = document.createTreeWalker(this.code, NodeFilter.SHOW_TEXT);
    let left = at;
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const length = node.textContent?.length ?? 0;
      if (left < length) {
        const range = document.createRange();
        range.setStart(node, left);
        range.setEnd(node, left + 1);
        return range.getBoundingClientRect();
      }
      left -= length;
    }
    return this.code.getBoundingClientRect();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (this.completion.pressed(event)) return event.preventDefault();
    const held = event.ctrlKey || event.metaKey;
    if (held && event.key === '/') this.comment();
    else if (event.altKey && event.key === 'ArrowUp') this.dispatchEvent(new Event('earlier'));
    else if (event.altKey && event.key === 'ArrowDown') this.dispatchEvent(new Event('later'));
    else return undefined;
    return event.preventDefault();
  }

  /** Comment the lines of the selection out; in again, if all of them are. */
  comment() {
    const { selectionStart, selectionEnd, value } = this.field;
    const from = value.lastIndexOf('\n', selectionStart - 1) + 1;
    const after = value.indexOf('\n', Math.max(selectionEnd - 1, from));
    const to = after < 0 ? value.length : after;
    const lines = value.slice(from, to).split('\n');
    const out = lines.every((/** @type {string} */ line) => /^\s*--/.test(line) || !line.trim());
    const text = lines.map((/** @type {string} */ line) =>
      out ? line.replace(/^(\s*)-- ?/, '$1') : `-- ${line}`).join('\n');
    this.field.setSelectionRange(from, to);
    this.insert(text);
    this.field.setSelectionRange(from, from + text.length);
  }
}
