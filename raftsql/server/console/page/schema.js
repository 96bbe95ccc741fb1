// @ts-check
/** Tables, views, indexes and triggers: what they are, how they were made, and the first of their rows. */

import { ask, words } from './api.js';
import { Catalogue } from './catalogue.js';
import { fill, h } from './dom.js';
import { many } from './format.js';
import { Grid } from './grid.js';
import { listing } from './highlight.js';
import { quoted } from './tokens.js';

/** @typedef {import('./catalogue.js').Table} Table */

export class SchemaView {
  /** @param {(sql: string) => void} open puts a text into the editor */
  constructor(open) {
    this.name = 'schema';
    this.title = 'Schema';
    this.open = open;
    this.catalogue = new Catalogue();
    this.wanted = '';
    this.filter = h('input', { type: 'search', placeholder: 'Filter', 'aria-label': 'Filter the tables', oninput: () => this.drawList() });
    this.list = h('ul', { class: 'tables', 'aria-label': 'Tables' });
    this.detail = h('article', { class: 'detail' });
    this.element = h('div', { class: 'view schema' },
      h('aside', {}, this.filter, this.list), this.detail);
    this.catalogue.addEventListener('change', () => this.draw());
  }

  /** @param {string} name */
  shown(name) {
    this.wanted = name;
    void this.catalogue.refresh();
  }

  draw() {
    this.drawList();
    if (this.element.hidden) return;
    const { tables, problem } = this.catalogue;
    const table = this.catalogue.find(this.wanted) ?? (this.wanted ? undefined : tables[0]);
    this.element.classList.toggle('chosen', Boolean(this.wanted));
    if (table !== undefined) return this.show(table);
    const why = problem || (this.wanted ? `There is no table ${this.wanted}.` : 'There is no table yet, or none that you may read.');
    return fill(this.detail, h('p', { class: 'empty' }, why));
  }

  drawList() {
    const wanted = this.filter.value.toLowerCase();
    const found = this.catalogue.tables.filter(({ name }) => name.toLowerCase().includes(wanted));
    const current = this.catalogue.find(this.wanted) ?? this.catalogue.tables[0];
    fill(this.list, found.map(({ name, kind }) => h('li', {},
      h('a', { href: `#schema/${encodeURIComponent(name)}`, 'aria-current': name === current?.name ? 'true' : null },
        h('span', { class: 'name' }, name), kind === 'table' ? null : h('small', {}, kind)))));
  }

  /** @param {Table} table */
  show(table) {
    const rows = h('span', { class: 'count' });
    const first = h('div', { class: 'first' });
    fill(this.detail,
      h('header', {}, h('a', { class: 'back', href: '#schema' }, 'All tables'),
        h('h1', {}, table.name), h('small', {}, table.kind), rows, h('span', { class: 'space' }),
        h('button', { class: 'small', onclick: () => this.open(`SELECT * FROM ${quoted(table.name)} LIMIT 100`) }, 'Query it')),
      h('div', { class: 'split' }, this.columns(table), h('section', {}, h('h2', {}, 'Definition'), listing(table.sql ?? ''))),
      this.parts('Indexes', table.indexes), this.parts('Triggers', table.triggers),
      h('section', {}, h('h2', {}, 'First rows'), first));
    void this.load(table, rows, first);
  }

  /** @param {Table} table */
  columns({ columns }) {
    return h('section', {}, h('h2', {}, 'Columns'),
      h('div', { class: 'scroll', tabIndex: 0, role: 'group', 'aria-label': 'Columns' }, h('table', { class: 'columns-table' },
        h('thead', {}, h('tr', {}, ['Name', 'Type', '', 'Default'].map((name) => h('th', { scope: 'col' }, name)))),
        h('tbody', {}, columns.map((column) => h('tr', {},
          h('th', { scope: 'row' }, column.name), h('td', {}, h('code', {}, column.type || 'any')),
          h('td', {}, [column.pk ? h('span', { class: 'tag' }, 'key') : null, column.notnull ? h('span', { class: 'tag' }, 'not null') : null]),
          h('td', {}, column.default === null ? '' : h('code', {}, column.default))))))));
  }

  /** @param {string} title @param {{name: string, sql: string | null, unique?: boolean}[]} parts */
  parts(title, parts) {
    if (parts.length === 0) return null;
    return h('section', {}, h('h2', {}, title), parts.map(({ name, sql, unique }) => h('details', { open: parts.length < 4 },
      h('summary', {}, h('span', { class: 'name' }, name), unique ? h('span', { class: 'tag' }, 'unique') : null),
      sql ? listing(sql) : h('p', { class: 'note' }, 'Made by a constraint of the table.'))));
  }

  /** @param {Table} table @param {HTMLElement} rows @param {HTMLElement} first */
  async load(table, rows, first) {
    try {
      const found = await ask('GET', `table?name=${encodeURIComponent(table.name)}`);
      fill(rows, found.rows === null ? 'too many rows to count in a second' : many(found.rows, 'row'));
      if (found.first.length === 0) return fill(first, h('p', { class: 'empty' }, 'No rows.'));
      const grid = new Grid(`First rows of ${table.name}`);
      grid.start(found.columns);
      grid.add(found.first);
      fill(first, grid.element);
    } catch (error) {
      fill(first, h('p', { class: 'result-trouble' }, words(error)));
    }
    return undefined;
  }
}
