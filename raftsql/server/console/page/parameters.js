// @ts-check
/** A field for each parameter that the statement has; what is typed is kept by its name. */

import { fill, h } from './dom.js';
import { parameters } from './tokens.js';

/** @type {[string, string][]} */
const KINDS = [['auto', 'number or text'], ['text', 'text'], ['blob', 'blob, hex'], ['null', 'NULL']];

export class Parameters {
  constructor() {
    this.named = false;
    /** @type {string[]} */
    this.names = [];
    /** @type {Map<string, {kind: string, text: string}>} */
    this.given = new Map();
    this.element = h('div', { class: 'parameters', role: 'group', 'aria-label': 'Parameters', hidden: true });
  }

  /** Show fields for what a text needs. @param {string} sql */
  follow(sql) {
    const { named, names } = parameters(sql);
    this.element.hidden = names.length === 0;
    if (names.join('\n') === this.names.join('\n') && named === this.named) return;
    this.named = named;
    this.names = names;
    fill(this.element, names.map((name) => this.field(name)));
  }

  /** @param {string} name */
  field(name) {
    const given = this.given.get(name) ?? { kind: 'auto', text: '' };
    this.given.set(name, given);
    const shown = this.named ? `:${name}` : name;
    const input = h('input', {
      value: given.text, 'aria-label': `Value of ${shown}`, spellcheck: 'false', autocomplete: 'off',
      disabled: given.kind === 'null',
      oninput: () => { given.text = input.value; },
    });
    const kind = h('select', {
      'aria-label': `Type of ${shown}`,
      onchange: () => {
        given.kind = kind.value;
        input.disabled = given.kind === 'null';
      },
    }, KINDS.map(([value, text]) => h('option', { value, selected: value === given.kind }, text)));
    return h('div', { class: 'parameter' }, h('code', {}, shown), input, kind);
  }

  /** As the node takes them. @param {string} sql @returns {unknown[] | Record<string, unknown> | null} */
  values(sql) {
    const { named, names } = parameters(sql);
    if (names.length === 0) return null;
    const values = names.map((name) => valueOf(this.given.get(name) ?? { kind: 'auto', text: '' }));
    return named ? Object.fromEntries(names.map((name, at) => [name, values[at]])) : values;
  }
}

/** @param {{kind: string, text: string}} given */
function valueOf({ kind, text }) {
  if (kind === 'null') return null;
  if (kind === 'text') return text;
  if (kind === 'blob') {
    const hex = text.replace(/^x'|'$|\s/gi, '');
    if (hex.length % 2 || /[^0-9a-f]/i.test(hex)) throw new Error(`"${text.slice(0, 40)}" is not hex: two digits a byte`);
    return { blob: btoa((hex.match(/../g) ?? []).map((pair) => String.fromCharCode(parseInt(pair, 16))).join('')) };
  }
  if (/^[+-]?\d+$/.test(text)) return { int: text.replace('+', '') };
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return { real: text };
  return text;
}
