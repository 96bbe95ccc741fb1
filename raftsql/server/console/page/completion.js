// @ts-check
/** What may come next: tables where a table is wanted, columns of the tables at hand, words of SQL. */

import { fill, h } from './dom.js';
import { bare, FUNCTIONS, KEYWORDS, quoted, tokens } from './tokens.js';

/** @typedef {{text: string, kind: string, aside: string}} Offer */
/** @typedef {import('./tokens.js').Token} Token */
/** @typedef {import('./catalogue.js').Catalogue} Catalogue */

const SHOWN_MAX = 12;
/** So many letters are typed before anything is offered unasked. */
const LETTERS_MIN = 2;
const BEFORE_TABLE = new Set(['FROM', 'JOIN', 'INTO', 'UPDATE', 'TABLE', 'REFERENCES']);
/** Further from the cursor than this nothing is looked at. */
const NEAR = 20_000;

export class Completion {
  /** @param {import('./editor.js').Editor} editor @param {() => Catalogue} catalogue */
  constructor(editor, catalogue) {
    this.editor = editor;
    this.catalogue = catalogue;
    /** @type {Offer[]} */
    this.offers = [];
    this.at = 0;
    this.from = 0;
    this.moved = false;
    this.element = h('ul', { class: 'offers', role: 'listbox', id: 'offers', hidden: true, 'aria-label': 'Completions' });
    const { field } = editor;
    field.setAttribute('aria-controls', 'offers');
    field.setAttribute('aria-autocomplete', 'list');
    field.addEventListener('blur', () => this.close());
    field.addEventListener('click', () => this.close());
  }

  /** Something was typed: offer what fits, if it is a word. */
  typed() {
    this.offer(LETTERS_MIN);
  }

  /** @param {number} least letters that have to be there */
  offer(least) {
    const { field } = this.editor;
    const cursor = field.selectionStart;
    const near = Math.max(0, cursor - NEAR);
    const text = field.value.slice(near, cursor);
    const found = offersFor(text, field.value.slice(cursor, cursor + NEAR), this.catalogue(), least);
    this.from = near + found.from;
    this.offers = found.offers.slice(0, SHOWN_MAX);
    const word = text.slice(found.from);
    if (this.offers.length === 0 || (this.offers.length === 1 && this.offers[0].text === word)) return this.close();
    this.at = 0;
    this.moved = false;
    this.element.hidden = false;
    this.draw();
    this.place();
  }

  draw() {
    fill(this.element, this.offers.map(({ text, kind, aside }, place) =>
      h('li', { role: 'option', id: `offer${place}`, 'aria-selected': String(place === this.at), class: `o-${kind}`,
        onmousedown: (/** @type {Event} */ event) => { event.preventDefault(); this.take(place); } },
      h('span', {}, text), h('small', {}, aside))));
    this.editor.field.setAttribute('aria-activedescendant', `offer${this.at}`);
    this.element.children[this.at]?.scrollIntoView({ block: 'nearest' });
  }

  place() {
    const letter = this.editor.placeOf(this.from);
    const box = this.editor.element.getBoundingClientRect();
    const left = Math.min(letter.left - box.left, box.width - this.element.offsetWidth - 8);
    this.element.style.left = `${Math.max(4, left)}px`;
    this.element.style.top = `${letter.bottom - box.top + 4}px`;
  }

  close() {
    if (this.element.hidden) return;
    this.element.hidden = true;
    this.editor.field.removeAttribute('aria-activedescendant');
  }

  /** @param {number} place */
  take(place) {
    const { field } = this.editor;
    const offer = this.offers[place];
    field.setSelectionRange(this.from, field.selectionStart);
    this.close();
    this.editor.insert(offer.text);
    this.close();
  }

  /** Whether a key was for the offers. @param {KeyboardEvent} event */
  pressed(event) {
    if (event.ctrlKey && event.key === ' ') {
      this.offer(0);
      return true;
    }
    if (this.element.hidden || event.ctrlKey || event.altKey || event.metaKey) return false;
    if (event.key === 'Escape') this.close();
    else if (event.key === 'ArrowDown') this.move(1);
    else if (event.key === 'ArrowUp') this.move(-1);
    else if (event.key === 'Tab' && !event.shiftKey) this.take(this.at);
    // Enter is for the line, unless somebody has chosen.
    else if (event.key === 'Enter' && this.moved) this.take(this.at);
    else return false;
    event.stopPropagation();
    return true;
  }

  /** @param {number} by */
  move(by) {
    this.at = (this.at + by + this.offers.length) % this.offers.length;
    this.moved = true;
    this.draw();
  }
}

/**
 * @param {string} before the text before the cursor
 * @param {string} after
 * @param {Catalogue} catalogue
 * @param {number} least
 * @returns {{from: number, offers: Offer[]}}
 */
function offersFor(before, after, catalogue, least) {
  const all = tokens(before);
  const statement = all.slice(all.findLastIndex(({ text }) => text === ';') + 1);
  const last = statement[statement.length - 1];
  const nothing = { from: before.length, offers: [] };
  if (last && (last.kind === 'comment' || last.kind === 'text' || last.kind === 'number' || last.kind === 'parameter')) return nothing;
  const begun = last && ['name', 'keyword', 'function'].includes(last.kind);
  const word = begun ? last.text : '';
  const from = before.length - word.length;
  const real = statement.filter(({ kind }) => kind !== 'space' && kind !== 'comment');
  const earlier = begun ? real.slice(0, -1) : real;
  const previous = earlier[earlier.length - 1];
  const rest = tokens(after.split(';')[0]).filter(({ kind }) => kind !== 'space');
  const tables = tablesIn([...real, ...rest], catalogue);
  /** @type {Offer[]} */
  let offers;
  if (previous?.text === '.') {
    const owner = earlier[earlier.length - 2];
    offers = owner ? columnsOf(bare(owner), tables, catalogue) : [];
  } else if (word.length < least) {
    return nothing;
  } else if (previous?.kind === 'keyword' && BEFORE_TABLE.has(previous.text.toUpperCase())) {
    offers = tableOffers(catalogue);
  } else {
    const names = [...new Set([...tables.values()])];
    offers = [...names.flatMap((name) => columnsOf(name, tables, catalogue)), ...words(word),
      ...tableOffers(catalogue)];
  }
  return { from, offers: fitting(offers, word) };
}

/** The tables that a statement names, by name and by alias. @param {Token[]} real @param {Catalogue} catalogue */
function tablesIn(real, catalogue) {
  /** @type {Map<string, string>} */
  const found = new Map();
  real.forEach((token, at) => {
    if (token.kind !== 'name' && token.kind !== 'quoted') return;
    const table = catalogue.find(bare(token));
    if (table === undefined || real[at - 1]?.text === '.') return;
    found.set(table.name.toLowerCase(), table.name);
    const next = real[at + 1];
    const alias = next?.text.toUpperCase() === 'AS' ? real[at + 2] : next;
    if (alias && (alias.kind === 'name' || alias.kind === 'quoted')) {
      found.set(bare(alias).toLowerCase(), table.name);
    }
  });
  return found;
}

/** @param {string} owner @param {Map<string, string>} tables @param {Catalogue} catalogue @returns {Offer[]} */
function columnsOf(owner, tables, catalogue) {
  const table = catalogue.find(tables.get(owner.toLowerCase()) ?? owner);
  return (table?.columns ?? []).map(({ name, type }) =>
    ({ text: quoted(name), kind: 'column', aside: `${table?.name} ${type ?? ''}`.trim() }));
}

/** @param {Catalogue} catalogue @returns {Offer[]} */
function tableOffers(catalogue) {
  return catalogue.tables.map(({ name, kind }) => ({ text: quoted(name), kind: 'table', aside: kind }));
}

/** Words of SQL, in the case in which somebody writes. @param {string} begun @returns {Offer[]} */
function words(begun) {
  const small = begun !== '' && begun === begun.toLowerCase();
  return [
    ...[...KEYWORDS].map((word) => ({ text: small ? word.toLowerCase() : word, kind: 'keyword', aside: '' })),
    ...FUNCTIONS.map((name) => ({ text: `${name}(`, kind: 'function', aside: 'function' })),
  ];
}

/** @param {Offer[]} offers @param {string} word */
function fitting(offers, word) {
  const wanted = word.toLowerCase();
  const seen = new Set();
  return offers.filter(({ text }) => {
    const plain = text.replace(/^"/, '').toLowerCase();
    if (!plain.startsWith(wanted) || seen.has(text)) return false;
    seen.add(text);
    return true;
  });
}
