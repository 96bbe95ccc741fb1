// @ts-check
/**
 * Rows in a table of which only what is seen exists: as fast with 100,000 rows as with ten.
 *
 * Every row is as high as the others and every column as wide as its first rows want it, so where a
 * cell stands is arithmetic. Elements are made for the rows in view and used again for others.
 */

import { brief, whole } from './cells.js';
import { words } from './api.js';
import { notice, shown } from './dialog.js';
import { fill, h } from './dom.js';

/** @typedef {import('./cells.js').Cell} Cell */

const ROW_PX = 26;
const HEAD_PX = 28;
const SCROLLBAR_PX = 18;
/** Of the table's type; measured when there is something to measure. */
let letterPx = 7.6;
const WIDTH_PX = { least: 56, most: 380, padding: 22 };
/** Rows that decide how wide columns are. */
const SAMPLE_ROWS = 100;
/** Rows and columns drawn beyond what is seen. */
const BEYOND = { rows: 6, columns: 2 };

export class Grid {
  /** @param {string} label */
  constructor(label) {
    /** @type {string[]} */
    this.names = [];
    /** @type {Cell[][]} */
    this.rows = [];
    /** @type {number[]} the left edge of each column, and the right of the last */
    this.edges = [];
    this.gutter = 48;
    this.active = { row: 0, column: 0 };
    this.frame = 0;
    /** @type {HTMLElement[]} */
    this.pool = [];
    this.drawn = '';
    this.head = h('div', { class: 'grid-head', role: 'row', 'aria-rowindex': 1 });
    this.body = h('div', { class: 'grid-body', role: 'presentation' });
    this.element = h('div', {
      class: 'grid', role: 'grid', tabIndex: 0, 'aria-label': label, 'aria-readonly': 'true',
      onscroll: () => this.soon(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event),
      onclick: (/** @type {MouseEvent} */ event) => this.clicked(event),
      ondblclick: () => this.open(),
    }, this.head, this.body);
    new ResizeObserver(() => this.soon()).observe(this.element);
  }

  /** Begin anew. @param {string[]} names */
  start(names) {
    this.names = names;
    this.rows = [];
    this.active = { row: 0, column: 0 };
    this.element.scrollTo(0, 0);
    this.element.setAttribute('aria-colcount', String(names.length));
    this.measure();
    this.soon();
  }

  /** @param {Cell[][]} rows */
  add(rows) {
    const few = this.rows.length < SAMPLE_ROWS;
    for (const row of rows) this.rows.push(row);
    if (few) this.measure();
    this.soon();
  }

  /** How wide the columns are. */
  measure() {
    letterPx = measured(this.element) ?? letterPx;
    const sample = this.rows.slice(0, SAMPLE_ROWS);
    this.gutter = 28 + 8 * String(Math.max(this.rows.length, 1000)).length;
    let left = this.gutter;
    this.edges = [left];
    this.names.forEach((name, column) => {
      let letters = name.length + 1;
      for (const row of sample) letters = Math.max(letters, wide(brief(row[column]).text));
      const width = letters * letterPx + WIDTH_PX.padding;
      left += Math.round(Math.min(Math.max(width, WIDTH_PX.least), WIDTH_PX.most));
      this.edges.push(left);
    });
    this.drawn = '';
  }

  /** Draw with the next frame, once, however often it is asked for. */
  soon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const { scrollTop, scrollLeft, clientHeight, clientWidth } = this.element;
    const most = this.rows.length;
    const first = Math.max(0, Math.floor(scrollTop / ROW_PX) - BEYOND.rows);
    const last = Math.min(most, Math.ceil((scrollTop + clientHeight) / ROW_PX) + BEYOND.rows);
    let from = this.edges.findIndex((edge) => edge > scrollLeft) - 1 - BEYOND.columns;
    from = Math.max(0, from);
    let to = this.edges.findIndex((edge) => edge > scrollLeft + clientWidth);
    to = Math.min(this.names.length, (to < 0 ? this.names.length : to) + BEYOND.columns);
    const what = `${first} ${last} ${from} ${to} ${this.active.row} ${this.active.column} ${this.edges.length}`;
    this.body.style.height = `${most * ROW_PX}px`;
    const width = `${this.edges[this.edges.length - 1]}px`;
    this.body.style.width = width;
    this.element.style.maxHeight = `${most * ROW_PX + HEAD_PX + SCROLLBAR_PX}px`;
    this.head.style.width = width;
    this.element.setAttribute('aria-rowcount', String(most + 1));
    if (what === this.drawn) return;
    this.drawn = what;
    this.drawHead(from, to);
    while (this.pool.length < last - first) this.pool.push(h('div', { class: 'grid-row', role: 'row' }));
    this.pool.length = Math.max(last - first, 0);
    for (let row = first; row < last; row += 1) this.drawRow(this.pool[row - first], row, from, to);
    this.body.replaceChildren(...this.pool);
  }

  /** @param {number} from @param {number} to */
  drawHead(from, to) {
    fill(this.head, this.number('', 'columnheader'), this.names.slice(from, to).map((name, at) => {
      const cell = h('div', { class: 'cell', role: 'columnheader', title: name, 'aria-colindex': from + at + 1 }, name);
      this.put(cell, from + at);
      if (this.numeric(from + at)) cell.classList.add('c-number');
      return cell;
    }));
  }

  /** Whether a column's values are numbers, by the first that is there. @param {number} column */
  numeric(column) {
    const found = this.rows.slice(0, SAMPLE_ROWS).find((row) => row[column] !== null);
    return found !== undefined && brief(found[column]).kind === 'number';
  }

  /** @param {HTMLElement} element @param {number} row @param {number} from @param {number} to */
  drawRow(element, row, from, to) {
    element.style.top = `${row * ROW_PX}px`;
    element.style.width = `${this.edges[this.edges.length - 1]}px`;
    element.setAttribute('aria-rowindex', String(row + 2));
    element.classList.toggle('odd', row % 2 === 1);
    while (element.children.length < to - from + 1) element.append(h('div', { class: 'cell', role: 'gridcell' }));
    while (element.children.length > to - from + 1) element.lastElementChild?.remove();
    const number = /** @type {HTMLElement} */ (element.children[0]);
    number.className = 'cell row-number';
    number.setAttribute('role', 'rowheader');
    number.style.width = `${this.gutter}px`;
    number.textContent = String(row + 1);
    for (let column = from; column < to; column += 1) {
      const cell = /** @type {HTMLElement} */ (element.children[column - from + 1]);
      const { text, kind } = brief(this.rows[row][column]);
      const active = row === this.active.row && column === this.active.column;
      cell.className = `cell c-${kind}${active ? ' active' : ''}`;
      if (cell.textContent !== text) cell.textContent = text;
      cell.setAttribute('aria-colindex', String(column + 1));
      if (active) {
        cell.id = 'active-cell';
        this.element.setAttribute('aria-activedescendant', cell.id);
      } else if (cell.id) cell.removeAttribute('id');
      this.put(cell, column);
    }
  }

  /** @param {string} text @param {string} role */
  number(text, role) {
    const cell = h('div', { class: 'cell row-number', role }, text);
    cell.style.width = `${this.gutter}px`;
    return cell;
  }

  /** @param {HTMLElement} cell @param {number} column */
  put(cell, column) {
    cell.style.left = `${this.edges[column]}px`;
    cell.style.width = `${this.edges[column + 1] - this.edges[column]}px`;
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const cell = /** @type {HTMLElement} */ (event.target).closest('.grid-row .cell');
    const row = Number(cell?.parentElement?.getAttribute('aria-rowindex')) - 2;
    const column = Number(cell?.getAttribute('aria-colindex')) - 1;
    if (cell && row >= 0 && column >= 0) this.go(row, column);
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const { row, column } = this.active;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_PX) - 2);
    if ((event.ctrlKey || event.metaKey) && event.key === 'c') return this.copy();
    const held = event.ctrlKey || event.metaKey;
    switch (event.key) {
      case 'ArrowDown': this.go(row + 1, column); break;
      case 'ArrowUp': this.go(row - 1, column); break;
      case 'ArrowRight': this.go(row, column + 1); break;
      case 'ArrowLeft': this.go(row, column - 1); break;
      case 'PageDown': this.go(row + page, column); break;
      case 'PageUp': this.go(row - page, column); break;
      case 'Home': this.go(held ? 0 : row, 0); break;
      case 'End': this.go(held ? this.rows.length - 1 : row, this.names.length - 1); break;
      case 'Enter': this.open(); break;
      default: return undefined;
    }
    return event.preventDefault();
  }

  /** Make a cell the active one, and bring it into view. @param {number} row @param {number} column */
  go(row, column) {
    if (this.rows.length === 0) return;
    row = Math.min(Math.max(row, 0), this.rows.length - 1);
    column = Math.min(Math.max(column, 0), this.names.length - 1);
    this.active = { row, column };
    const { element } = this;
    const height = element.clientHeight - ROW_PX;
    if (row * ROW_PX < element.scrollTop) element.scrollTop = row * ROW_PX;
    else if ((row + 1) * ROW_PX > element.scrollTop + height) element.scrollTop = (row + 1) * ROW_PX - height;
    const left = this.edges[column] - this.gutter;
    if (left < element.scrollLeft) element.scrollLeft = left;
    else if (this.edges[column + 1] > element.scrollLeft + element.clientWidth) {
      element.scrollLeft = Math.min(left, this.edges[column + 1] - element.clientWidth);
    }
    this.soon();
  }

  /** The whole cell, as far as it is here. */
  open() {
    const row = this.rows[this.active.row];
    if (row === undefined) return;
    const { text, note } = whole(row[this.active.column]);
    void shown(h('dialog', { class: 'value', 'aria-label': 'Value' },
      h('h2', {}, this.names[this.active.column], h('small', {}, `row ${this.active.row + 1}`)),
      h('pre', { tabIndex: 0 }, text), h('p', { class: 'note' }, note),
      h('form', { method: 'dialog', class: 'buttons' },
        h('button', { type: 'button', onclick: () => this.copy() }, 'Copy'),
        h('button', { class: 'strong' }, 'Close'))));
  }

  copy() {
    const row = this.rows[this.active.row];
    if (row === undefined) return;
    const copied = navigator.clipboard?.writeText(whole(row[this.active.column]).text)
      ?? Promise.reject(new Error('a browser lends its clipboard to pages over TLS, or of its own machine'));
    copied.catch((error) => notice(`Not copied: ${words(error)}.`, 'bad'));
  }
}

/** How many letters' width a text takes: those of some scripts are twice as wide. @param {string} text */
function wide(text) {
  let width = 0;
  for (const letter of text.slice(0, 60)) width += (letter.codePointAt(0) ?? 0) > 0x2e80 ? 1.8 : 1;
  return width;
}

/** How wide a letter is where the table stands. @param {HTMLElement} element */
function measured(element) {
  const pen = element.isConnected ? document.createElement('canvas').getContext('2d') : null;
  if (pen === null) return null;
  const { fontSize, fontFamily } = getComputedStyle(element);
  pen.font = `${fontSize} ${fontFamily}`;
  return pen.measureText('0'.repeat(50)).width / 50;
}
