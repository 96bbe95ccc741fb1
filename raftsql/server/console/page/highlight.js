// @ts-check
/** SQL in colours, as elements: in the editor's underlay and wherever a definition is shown. */

import { h } from './dom.js';
import { tokens } from './tokens.js';

/** A longer text is shown plain: colouring it would make typing slow. */
const COLOURED_MAX = 60_000;

/** @typedef {{start: number, end: number, kind: 'error' | 'refused' | 'pinned'}} Mark places in JavaScript's counting */

/**
 * @param {string} sql
 * @param {Mark[]} [marks]
 * @returns {(Node | string)[]}
 */
export function coloured(sql, marks = []) {
  const parts = sql.length > COLOURED_MAX
    ? [{ kind: 'space', start: 0, end: sql.length }] : tokens(sql);
  const edges = [...new Set(marks.flatMap(({ start, end }) => [start, end]))].sort((a, b) => a - b);
  /** @type {(Node | string)[]} */
  const out = [];
  for (const { kind, start, end } of parts) {
    const cuts = [start, ...edges.filter((edge) => edge > start && edge < end), end];
    for (let at = 0; at + 1 < cuts.length; at += 1) {
      const text = sql.slice(cuts[at], cuts[at + 1]);
      const mark = marks.find((each) => each.start <= cuts[at] && cuts[at + 1] <= each.end);
      const classes = [kind === 'space' || kind === 'name' ? '' : `t-${kind}`, mark ? `m-${mark.kind}` : '']
        .filter(Boolean).join(' ');
      out.push(classes ? h('span', { class: classes }, text) : text);
    }
  }
  return out;
}

/** A definition to read. @param {string} sql */
export function listing(sql) {
  return h('pre', { class: 'listing', tabIndex: 0 }, h('code', {}, coloured(sql)));
}
