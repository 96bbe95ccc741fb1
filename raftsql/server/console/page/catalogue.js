// @ts-check
/** The schema as the page knows it: for completion, for Ctrl-K and for the schema's view. */

import { ask, words } from './api.js';

/** @typedef {{name: string, type: string | null, notnull: boolean, default: string | null, pk: number | boolean}} Column */
/** @typedef {{name: string, sql: string | null, unique: boolean}} Index */
/** @typedef {{name: string, sql: string | null}} Trigger */
/**
 * @typedef {object} Table
 * @property {string} name
 * @property {'table' | 'view' | 'virtual'} kind
 * @property {string | null} sql
 * @property {Column[]} columns
 * @property {Index[]} indexes
 * @property {Trigger[]} triggers
 */

export class Catalogue extends EventTarget {
  constructor() {
    super();
    /** @type {Table[]} */
    this.tables = [];
    this.problem = '';
  }

  /** @param {string} name */
  find(name) {
    const wanted = name.toLowerCase();
    return this.tables.find((table) => table.name === name)
      ?? this.tables.find((table) => table.name.toLowerCase() === wanted);
  }

  /** Read it anew. */
  async refresh() {
    try {
      this.tables = (await ask('GET', 'schema')).tables;
      this.problem = '';
    } catch (error) {
      this.problem = words(error);
    }
    this.dispatchEvent(new Event('change'));
  }
}
