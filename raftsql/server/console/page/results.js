// @ts-check
/** What the statements of a run answered: a table for each that has rows, a line for those that don't. */

import { fill, h, say } from './dom.js';
import { count, many, seconds } from './format.js';
import { Grid } from './grid.js';

/** So many rows of a run are kept on the page, and so many letters of JSON; then it is ended. */
const ROWS_MAX = 100_000;
const LETTERS_MAX = 96 << 20;
/** Tables of a run that are kept; a script has more statements than anybody reads. */
const TABLES_MAX = 50;

/** @typedef {{number: number, sql: string, grid: Grid | null, done: string, state: 'runs' | 'done' | 'bad'}} Answer */

export class Results {
  constructor() {
    this.forget();
    this.summary = h('p', { class: 'summary', role: 'status', 'aria-live': 'polite' });
    this.progress = h('p', { class: 'progress', 'aria-hidden': 'true' });
    this.trouble = h('div', { class: 'result-trouble', role: 'alert' });
    this.chips = h('div', { class: 'chips', role: 'group', 'aria-label': 'Answers of the statements' });
    this.place = h('div', { class: 'table-place' }, h('p', { class: 'empty hints' },
      h('kbd', {}, 'Ctrl Enter'), ' runs what is written or selected', h('br'), h('kbd', {}, 'Ctrl Space'), ' completes it', h('br'),
      h('kbd', {}, '?'), ' tells the other keys, outside the editor'));
    this.element = h('div', { class: 'results' }, this.trouble, this.chips, this.place);
    this.line = h('div', { class: 'line' }, this.progress, this.summary);
  }

  /** Nothing was run yet. */
  forget() {
    /** @type {Answer[]} */
    this.answers = [];
    this.rows = 0;
    this.letters = 0;
    this.statements = 0;
    this.changes = 0;
    this.cancelling = false;
  }

  start() {
    this.forget();
    this.began = performance.now();
    fill(this.trouble);
    fill(this.chips);
    fill(this.place);
    say(this.summary, '');
    this.progress.hidden = false;
    this.tick();
  }

  /** How far it is. */
  tick() {
    const rows = this.rows ? ` · ${many(this.rows, 'row')}` : '';
    say(this.progress, `${this.cancelling ? 'cancelling' : 'running'} ${((performance.now() - (this.began ?? 0)) / 1000).toFixed(1)} s${rows}`);
  }

  /** Whether there is no room for more. */
  get full() {
    return this.rows >= ROWS_MAX || this.letters >= LETTERS_MAX;
  }

  /**
   * Take one line of what the node streams.
   * @param {any} line
   * @param {number} letters
   */
  take(line, letters) {
    this.letters += letters;
    if ('statement' in line) this.begin(line.statement, line.sql);
    else if ('columns' in line) this.columns(line.columns);
    else if ('rows' in line) this.more(line.rows);
    else if ('end' in line) this.ended(line.end);
  }

  /** @param {number} number @param {string} sql */
  begin(number, sql) {
    this.answers.push({ number, sql, grid: null, done: '', state: 'runs' });
  }

  /** The statement that is being answered. @returns {Answer} */
  get current() {
    const last = this.answers[this.answers.length - 1];
    if (last !== undefined && last.state === 'runs') return last;
    this.begin(this.statements, '');
    return this.answers[this.answers.length - 1];
  }

  /** @param {string[]} names */
  columns(names) {
    const answer = this.current;
    answer.grid = new Grid('Result');
    answer.grid.start(names);
    this.show(answer);
  }

  /** @param {import('./cells.js').Cell[][]} rows */
  more(rows) {
    const room = Math.max(0, ROWS_MAX - this.rows);
    this.current.grid?.add(rows.length > room ? rows.slice(0, room) : rows);
    this.rows += Math.min(rows.length, room);
  }

  /** @param {{rows: number, changes: number | null, seconds: number, last_row: unknown}} end */
  ended(end) {
    const answer = this.current;
    answer.state = 'done';
    this.statements += 1;
    this.changes += end.changes ?? 0;
    const changed = end.changes ? `${many(end.changes, 'row')} changed` : '';
    const had = answer.grid ? many(end.rows, 'row') : '';
    answer.done = `${[had, changed].filter(Boolean).join(', ') || 'done'} in ${seconds(end.seconds)}`;
    const tables = this.answers.filter(({ grid }) => grid !== null);
    if (answer.grid === null && this.answers.length > 1) this.answers.pop();
    else if (tables.length > TABLES_MAX) this.answers.splice(this.answers.indexOf(tables[0]), 1);
    this.drawChips(answer);
  }

  /** @param {Answer} answer */
  show(answer) {
    fill(this.place, answer.grid?.element);
    answer.grid?.soon();
    this.drawChips(answer);
  }

  /** @param {Answer} shown */
  drawChips(shown) {
    const tables = this.answers.filter(({ grid }) => grid !== null);
    fill(this.chips, tables.length < 2 ? null : tables.map((answer) => h('button', {
      class: 'chip', 'aria-pressed': String(answer.grid?.element.isConnected ?? answer === shown), title: answer.sql.slice(0, 500),
      onclick: () => this.show(answer),
    }, h('b', {}, answer.number + 1), ` ${answer.sql.replace(/\s+/g, ' ').slice(0, 28)}`)));
  }

  /** It is over. @param {string} [why] if it did not end by itself */
  over(why = '') {
    this.progress.hidden = true;
    const last = this.answers[this.answers.length - 1];
    const several = this.statements > 1
      ? `${many(this.statements, 'statement')}, ${many(this.changes, 'row')} changed in ${seconds((performance.now() - (this.began ?? 0)) / 1000)}` : '';
    say(this.summary, why || several || last?.done || '');
    if (!this.place.hasChildNodes() && !this.trouble.hasChildNodes()) {
      fill(this.place, h('p', { class: 'empty' }, last?.done ?? 'Done.'));
    }
  }

  /** What to say when the page had enough. */
  get bound() {
    return this.rows >= ROWS_MAX
      ? `Stopped after ${count(this.rows)} rows: a page keeps no more. The result is longer; export has all of it.`
      : `Stopped after ${many(this.rows, 'row')}, which are all that this page can hold. Export has all of the result.`;
  }
}
