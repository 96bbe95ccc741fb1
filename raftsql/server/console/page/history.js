// @ts-check
/** What was run before, newest first: kept in this browser, for this user. */

import { fill, h } from './dom.js';
import { coloured } from './highlight.js';
import { keep, recall } from './store.js';

const KEPT_MAX = 200;
/** Longer texts are not kept: they are imports, not questions. */
const LENGTH_MAX = 20_000;

export class History {
  /** @param {string | null} user @param {(sql: string) => void} open */
  constructor(user, open) {
    this.key = `history.${user ?? ''}`;
    this.open = open;
    /** @type {string[]} */
    this.entries = recall(this.key, []);
    this.place = -1;
    this.draft = '';
    this.element = h('div', { class: 'history' });
  }

  /** @param {string} sql */
  add(sql) {
    this.place = -1;
    if (!sql.trim() || sql.length > LENGTH_MAX) return;
    this.entries = [sql, ...recall(this.key, this.entries).filter((each) => each !== sql)].slice(0, KEPT_MAX);
    keep(this.key, this.entries);
    this.draw();
  }

  /**
   * Go to an earlier (1) or later (-1) one.
   * @param {number} by
   * @param {string} now what is in the editor: kept while one looks at others
   * @returns {string | null}
   */
  step(by, now) {
    const place = this.place + by;
    if (place < -1 || place >= this.entries.length) return null;
    if (this.place === -1) this.draft = now;
    this.place = place;
    return place === -1 ? this.draft : this.entries[place];
  }

  forget() {
    this.entries = [];
    keep(this.key, null);
    this.draw();
  }

  draw() {
    if (this.entries.length === 0) {
      fill(this.element, h('p', { class: 'empty' }, 'What you run is kept here, in this browser.'));
      return;
    }
    fill(this.element,
      h('ol', {}, this.entries.map((sql) => h('li', {},
        h('button', { class: 'entry', onclick: () => this.open(sql) }, h('code', {}, coloured(sql.slice(0, 400))))))),
      h('button', { class: 'small', onclick: () => this.forget() }, 'Forget all of it'));
  }
}
