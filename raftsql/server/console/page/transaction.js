// @ts-check
/** The transaction of this page, if one is open: it can't be overlooked, and it can be ended. */

import { ask, leaving, Refused, words } from './api.js';
import { notice } from './dialog.js';
import { fill, h, say } from './dom.js';

export class Transaction extends EventTarget {
  constructor() {
    super();
    /** @type {string | null} */
    this.id = null;
    this.beginning = false;
    this.since = 0;
    this.statements = 0;
    this.state = h('span', { class: 'state', role: 'status' });
    this.age = h('span', { class: 'age', 'aria-hidden': 'true' });
    this.element = h('div', { class: 'transaction', role: 'group', 'aria-label': 'Transaction' });
    setInterval(() => this.tick(), 1000);
    addEventListener('pagehide', () => this.left());
    this.draw();
  }

  tick() {
    if (this.id === null) return;
    const old = Math.floor((Date.now() - this.since) / 1000);
    say(this.age, `${Math.floor(old / 60)}:${String(old % 60).padStart(2, '0')}`);
  }

  draw() {
    const open = this.id !== null;
    this.element.classList.toggle('open', open);
    say(this.state, open ? 'in transaction' : 'no transaction');
    fill(this.element, this.state, this.age,
      open ? [h('button', { class: 'small', onclick: () => this.end('commit') }, 'Commit'),
        h('button', { class: 'small', onclick: () => this.end('rollback') }, 'Roll back')]
        : h('button', { class: 'small', title: 'What runs from here on is one transaction, until it is committed', onclick: () => this.begin() }, 'Begin'));
    say(this.age, '');
    this.tick();
  }

  /** What the node says: which one is open after a statement. @param {string | null} id */
  told(id) {
    if (id !== null && id === this.id) this.statements += 1;
    if (id === this.id) return;
    if (id !== null) this.since = Date.now();
    this.id = id;
    this.draw();
    this.dispatchEvent(new Event('change'));
  }

  /** The page is left, and forgets which one is open: it would only keep others waiting. */
  left() {
    if (this.id === null) return;
    leaving(`transactions/${this.id}/rollback`);
    this.told(null);
  }

  async begin() {
    if (this.beginning) return;
    this.beginning = true;
    try {
      this.told((await ask('POST', 'transactions')).transaction);
    } catch (error) {
      notice(`No transaction was begun: ${words(error)}`, 'bad');
    } finally {
      this.beginning = false;
    }
  }

  /** @param {'commit' | 'rollback'} how */
  async end(how) {
    try {
      await ask('POST', `transactions/${this.id}/${how}`);
      notice(how === 'commit' ? 'Committed.' : 'Rolled back: nothing of the transaction happened.');
      this.told(null);
    } catch (error) {
      notice(`${how === 'commit' ? 'Not committed' : 'Not rolled back'}: ${words(error)}`, 'bad');
      // A constraint keeps it open; anything else is its end.
      if (error instanceof Refused && error.kind !== 'constraint') this.told(null);
    }
  }
}
