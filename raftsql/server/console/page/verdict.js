// @ts-check
/**
 * Whether every node would make the same of a statement: what the node's own judges say of it, with
 * the words that decide it marked, and what to write instead.
 */

import { ask, Gone, Refused } from './api.js';
import { fill, h } from './dom.js';
import { units } from './tokens.js';

const PAUSE_MS = 350;
/** A node that is busy or away is asked again. */
const AGAIN_MS = 2000;
/** A longer text is judged when it runs. */
const JUDGED_MAX = 50_000;
const SHOWN_MAX = 6;

/** @typedef {{start: number, end: number, text: string, why: string, instead: string | null}} Word */
/** @typedef {{start: number, end: number, kind: string, verdict: 'pure' | 'pinned' | 'refused', words: Word[]}} Judged */

export class Verdict {
  /** @param {import('./editor.js').Editor} editor @param {(marks: import('./highlight.js').Mark[]) => void} marked */
  constructor(editor, marked) {
    this.editor = editor;
    this.marked = marked;
    this.timer = 0;
    this.element = h('div', { class: 'verdict', role: 'status', 'aria-live': 'polite' });
  }

  /** The text has changed: judge it when the typing rests. */
  soon(ms = PAUSE_MS) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.judge(), ms);
  }

  async judge() {
    const sql = this.editor.text;
    if (!sql.trim() || sql.length > JUDGED_MAX) return this.show(sql, []);
    try {
      const { statements } = await ask('POST', 'check', { sql });
      if (sql === this.editor.text) this.show(sql, statements);
    } catch (error) {
      if (sql !== this.editor.text) return undefined;
      this.show(sql, []);
      if (error instanceof Gone || (error instanceof Refused && error.status >= 429)) this.soon(AGAIN_MS);
    }
    return undefined;
  }

  /** @param {string} sql @param {Judged[]} statements */
  show(sql, statements) {
    const found = statements.flatMap(({ verdict, words }) => words.map((word) => ({ verdict, word })));
    this.marked(found.map(({ verdict, word }) => ({
      start: units(sql, word.start), end: units(sql, word.end),
      kind: verdict === 'refused' ? 'refused' : 'pinned',
    })));
    const worst = ['refused', 'pinned', 'pure'].find((each) => statements.some(({ verdict }) => verdict === each));
    fill(this.element,
      found.slice(0, SHOWN_MAX).map(({ verdict, word }) => h('p', {},
        h('b', { class: verdict }, verdict), h('code', {}, word.text.slice(0, 80)), ` ${sentence(word)}`)),
      found.length > SHOWN_MAX ? h('p', {}, `and ${found.length - SHOWN_MAX} more`) : null,
      found.length === 0 && worst ? h('p', {}, h('b', { class: worst }, worst), PLAIN[worst] ?? '') : null);
  }
}

/** @type {Record<string, string>} */
const PLAIN = { pure: 'every node makes the same of it' };

/** @param {Word} word */
function sentence({ why, instead }) {
  return `${why}.${instead ? ` Instead, ${instead}.` : ''}`;
}
