// @ts-check
/** Statements: written, judged, run, watched, cancelled; and what they answer. */

import { ask, Gone, lines, Refused, send, words } from './api.js';
import { notice } from './dialog.js';
import { fill, h, icon } from './dom.js';
import { Editor } from './editor.js';
import { exported } from './exporting.js';
import { History } from './history.js';
import { Parameters } from './parameters.js';
import { tree } from './plan.js';
import { Results } from './results.js';
import { recall, keep } from './store.js';
import { units } from './tokens.js';
import { Transaction } from './transaction.js';
import { Verdict } from './verdict.js';

/** @typedef {import('./highlight.js').Mark} Mark */

const DRAFT = 'raftsql.draft';
const DRAFT_MAX = 1_000_000;
const LEVELS = {
  linearizable: 'sees every write that was acknowledged before, on any node',
  lease: 'the same while clocks drift less than a bound; saves a round',
  session: 'your own writes, and never back in time',
  stale: 'what this node has',
};
/** How long a cancelled statement may take to say so. */
const CANCEL_MS = 15_000;
/** How soon the node is asked again to stop what it did not know of. */
const CANCEL_AGAIN_MS = 100;
const TIMEOUT_SECONDS = 3600;
/** How a problem begins, by its kind; the rest is the node's own sentence. @type {Record<string, string>} */
const KINDS = {
  gone: 'no answer', cancelled: 'cancelled', refused: 'refused', forbidden: 'not allowed', constraint: 'constraint',
  timeout: 'too long', unavailable: 'unavailable', unknown: 'outcome unknown', expired: 'not logged in',
  login: 'not logged in', transaction_lost: 'transaction lost', serialization: 'conflict', too_stale: 'too stale', busy: 'busy',
};

export class SqlView {
  /** @param {import('./login.js').Me} me */
  constructor(me) {
    this.name = 'sql';
    this.title = 'SQL';
    /** @type {import('./catalogue.js').Catalogue} */
    this.schema = /** @type {any} */ (null);
    /** @type {{id: string, controller: AbortController, cancelled: boolean} | null} */
    this.running = null;
    /** @type {Mark[]} */
    this.errors = [];
    /** @type {Mark[]} */
    this.judged = [];
    this.editor = new Editor(() => this.schema);
    this.history = new History(me.user, (sql) => this.open(sql));
    this.parameters = new Parameters();
    this.results = new Results();
    this.transaction = new Transaction();
    this.verdict = new Verdict(this.editor, (marks) => {
      this.judged = marks;
      this.mark();
    });
    this.plan = h('div', { class: 'plan-place', hidden: true });
    this.history.element.hidden = true;
    this.exporting = h('p', { class: 'exporting', hidden: true });
    this.element = h('div', { class: 'view sql' }, this.toolbar(), this.editor.element,
      this.parameters.element, this.verdict.element, this.tabs(), this.exporting, this.results.element,
      this.plan, this.history.element);
    this.listen();
    this.restore();
  }

  toolbar() {
    this.go = h('button', { class: 'strong run', id: 'run', title: 'Ctrl-Enter', onclick: () => this.run() }, icon('run'), 'Run');
    this.stop = h('button', { class: 'run', id: 'cancel', title: 'Esc', hidden: true, onclick: () => this.cancel() }, icon('stop'), 'Cancel');
    this.level = h('select', { id: 'consistency', onchange: () => this.chose() },
      Object.keys(LEVELS).map((level) => h('option', {}, level)));
    this.level.value = recall('consistency', 'linearizable');
    this.staleness = h('input', { class: 'staleness', inputmode: 'decimal', 'aria-label': 'At most so many seconds old', placeholder: 'any age', title: 'At most so many seconds old' });
    this.chose();
    return h('div', { class: 'toolbar', role: 'toolbar', 'aria-label': 'Statement' }, this.go, this.stop,
      h('label', { class: 'inline' }, h('span', {}, 'Reads'), this.level), this.staleness,
      h('span', { class: 'space' }), this.transaction.element);
  }

  chose() {
    const level = /** @type {keyof typeof LEVELS} */ (this.level.value);
    this.staleness.hidden = level !== 'stale';
    this.level.title = LEVELS[level] ?? '';
    keep('consistency', level);
  }

  tabs() {
    const tab = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
      h('button', { class: 'tab', 'aria-pressed': String(text === 'Result'), onclick }, text);
    this.tabButtons = {
      result: tab('Result', () => this.show('result')),
      plan: tab('Plan', () => this.explain()),
      history: tab('History', () => this.show('history')),
    };
    return h('div', { class: 'tabs' }, Object.values(this.tabButtons), this.results.line,
      h('span', { class: 'space' }),
      h('span', { class: 'unseen', id: 'export' }, 'Export'),
      ['csv', 'json'].map((format) => h('button', { class: 'small export', 'aria-describedby': 'export',
        title: `All of the result as a file: runs the statement again`,
        onclick: () => this.export(/** @type {'csv' | 'json'} */ (format)) }, icon('down'), format)));
  }

  listen() {
    const { editor } = this;
    editor.addEventListener('change', () => {
      this.errors = [];
      this.parameters.follow(editor.text);
      this.verdict.soon();
      this.mark();
      this.saveDraft();
    });
    editor.addEventListener('earlier', () => this.step(1));
    editor.addEventListener('later', () => this.step(-1));
    this.transaction.addEventListener('change', () =>
      this.element.classList.toggle('in-transaction', this.transaction.id !== null));
    this.element.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      const held = event.ctrlKey || event.metaKey;
      if (held && event.key === 'Enter') void this.run();
      else if (held && event.shiftKey && event.key.toLowerCase() === 'e') void this.explain();
      else if (event.key === 'Escape' && this.running) void this.cancel();
      else return;
      event.preventDefault();
    });
  }

  /** Text survives a reload of the page, and a login in between. */
  restore() {
    let text = '';
    try {
      text = sessionStorage.getItem(DRAFT) ?? '';
    } catch {
      // No storage.
    }
    this.editor.restore(text);
    this.parameters.follow(text);
    if (text) this.verdict.soon();
  }

  saveDraft() {
    try {
      if (this.editor.text.length < DRAFT_MAX) sessionStorage.setItem(DRAFT, this.editor.text);
    } catch {
      // Full or forbidden.
    }
  }

  shown() {
    if (matchMedia('(hover: hover)').matches) this.editor.field.focus();
    this.verdict.soon();
  }

  /** @param {'result' | 'plan' | 'history'} name */
  show(name) {
    this.results.element.hidden = name !== 'result';
    this.plan.hidden = name !== 'plan';
    this.history.element.hidden = name !== 'history';
    if (name === 'history') this.history.draw();
    for (const [each, button] of Object.entries(this.tabButtons ?? {})) {
      button.setAttribute('aria-pressed', String(each === name));
    }
  }

  /** @param {string} sql */
  open(sql) {
    this.editor.replace(sql);
    this.show('result');
  }

  /** @param {number} by */
  step(by) {
    const text = this.history.step(by, this.editor.text);
    if (text !== null) this.editor.replace(text);
  }

  mark() {
    this.editor.mark([...this.errors, ...this.judged]);
  }

  /** How a statement is asked, whatever for. @param {string} sql */
  asked(sql) {
    const stale = this.level.value === 'stale' && Number(this.staleness.value) > 0;
    return {
      sql,
      parameters: this.parameters.values(sql),
      consistency: this.level.value,
      max_staleness: stale ? Number(this.staleness.value) : null,
      transaction: this.transaction.id,
      timeout: TIMEOUT_SECONDS,
    };
  }

  async run() {
    const { sql, start } = this.editor.chosen;
    if (this.running || !sql.trim()) return;
    const running = { id: name(), controller: new AbortController(), cancelled: false };
    this.show('result');
    this.errors = [];
    this.mark();
    this.history.add(sql.trim());
    this.runs(running);
    this.results.start();
    const timer = setInterval(() => this.results.tick(), 100);
    try {
      const asked = { id: running.id, ...this.asked(sql) };
      const response = await send('POST', 'query', asked, running.controller.signal);
      this.results.over(await this.read(response, sql, start, running));
    } catch (error) {
      this.failed(error, sql, start, running.cancelled);
    } finally {
      clearInterval(timer);
      this.runs(null);
      if (/\b(create|drop|alter)\b/i.test(sql)) void this.schema.refresh();
    }
  }

  /**
   * Take the answers as they come.
   * @param {Response} response @param {string} sql @param {number} start
   * @param {NonNullable<SqlView['running']>} running
   * @returns {Promise<string>} what there is to say beyond the statement's own end
   */
  async read(response, sql, start, running) {
    let rested = performance.now();
    for await (const [line, letters] of lines(response)) {
      const told = line.end ?? line.error;
      if (told !== undefined && 'transaction' in told) this.transaction.told(told.transaction);
      if (line.error) throw new Refused(200, line.error);
      this.results.take(line, letters);
      if (this.results.full && !line.end) {
        ask('DELETE', `query/${running.id}`).catch(() => {});
        return this.results.bound;
      }
      if (performance.now() - rested > 30) {
        await new Promise((done) => setTimeout(done));
        rested = performance.now();
      }
    }
    return '';
  }

  /** @param {SqlView['running']} running */
  runs(running) {
    this.running = running;
    this.go.hidden = running !== null;
    this.stop.hidden = running === null;
    this.stop.disabled = false;
    this.element.classList.toggle('running', running !== null);
  }

  /** The node is asked to stop, and says that it did; if it can't, the page lets go. */
  async cancel() {
    const { running } = this;
    if (running === null || running.cancelled) return;
    running.cancelled = true;
    this.stop.disabled = true;
    this.results.cancelling = true;
    this.results.tick();
    setTimeout(() => running.controller.abort(), CANCEL_MS);
    // This may overtake the statement, which the node does not know yet then.
    while (this.running === running && !await this.stopped(running)) {
      await new Promise((done) => setTimeout(done, CANCEL_AGAIN_MS));
    }
  }

  /** Whether nothing more can be done to end it. @param {NonNullable<SqlView['running']>} running */
  async stopped(running) {
    try {
      await ask('DELETE', `query/${running.id}`, undefined, running.controller.signal);
    } catch (error) {
      if (error instanceof Gone || (error instanceof Refused && error.kind === 'not_found')) return false;
      running.controller.abort();
    }
    return true;
  }

  /** @param {unknown} error @param {string} sql @param {number} before @param {boolean} cancelled */
  failed(error, sql, before, cancelled) {
    const { trouble } = this.results;
    const refused = error instanceof Refused ? error : null;
    const unanswered = error instanceof Gone || error instanceof DOMException;
    const kind = KINDS[refused?.kind ?? (unanswered ? 'gone' : '')] ?? 'error';
    if (kind === KINDS.transaction_lost) this.transaction.told(null);
    fill(trouble, h('p', {}, h('span', { class: 'kind' }, kind), ' ',
      error instanceof DOMException ? 'the node did not say in time that it stopped' : words(error), ' ',
      refused === null || refused.start === null ? null : this.placeOf(refused, sql, before)),
    refused?.hint ? h('p', { class: 'hint' }, refused.hint) : null,
    error instanceof Gone ? h('p', { class: 'hint' }, 'If it was a write, look at the data before you run it again.') : null);
    this.results.over(cancelled ? 'Cancelled.' : ' ');
  }

  /** Mark where it is wrong, and lead there. @param {Refused} refused @param {string} sql @param {number} before */
  placeOf(refused, sql, before) {
    const place = refused.start ?? 0;
    const start = before + units(sql, place);
    const end = before + units(sql, refused.end ?? place + 1);
    this.errors = [{ start, end: Math.max(end, start + 1), kind: 'error' }];
    this.mark();
    const lines = this.editor.text.slice(0, start).split('\n');
    return h('button', { class: 'small', id: 'error-place', onclick: () => this.editor.goTo(start) },
      `line ${lines.length}, column ${[...lines[lines.length - 1]].length + 1}`);
  }

  async explain() {
    this.show('plan');
    const { sql } = this.editor.chosen;
    if (!sql.trim()) return fill(this.plan, h('p', { class: 'empty' }, 'Write a query; its plan is drawn here.'));
    try {
      const { nodes } = await ask('POST', 'plan', { sql });
      fill(this.plan, tree(nodes));
    } catch (error) {
      fill(this.plan, h('p', { class: 'result-trouble' }, words(error)));
    }
    return undefined;
  }

  /** Export runs the statement again: one that writes is not run twice by a button. @param {'csv' | 'json'} format */
  async export(format) {
    const { sql } = this.editor.chosen;
    if (!sql.trim()) return;
    try {
      const { statements } = await ask('POST', 'check', { sql });
      if (statements.length !== 1) return notice('An export is of one statement: select it.', 'bad');
      if (statements[0].kind !== 'read') return notice('An export runs the statement again, and this one is no query.', 'bad');
      await exported(format, this.asked(sql), this.exporting);
    } catch (error) {
      notice(words(error), 'bad');
    }
    return undefined;
  }
}

/** A name for a query that no other page has. */
function name() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
