// @ts-check
/** A query's plan as a tree; what reads a whole table is marked. */

import { h } from './dom.js';

/** @typedef {{id: number, parent: number, detail: string}} Step */

/** @param {Step[]} steps @returns {HTMLElement} */
export function tree(steps) {
  const known = new Set(steps.map(({ id }) => id));
  const roots = steps.filter(({ parent }) => !known.has(parent));
  if (roots.length === 0) return h('p', { class: 'empty' }, 'This statement has no plan.');
  return h('ul', { class: 'plan', 'aria-label': 'Plan' }, h('li', {}, h('span', { class: 'step' }, 'QUERY PLAN'),
    h('ul', {}, roots.map((step) => branch(step, steps)))));
}

/** @param {Step} step @param {Step[]} steps @returns {HTMLElement} */
function branch(step, steps) {
  const below = steps.filter(({ parent, id }) => parent === step.id && id !== step.id);
  const [verb, ...rest] = step.detail.split(' ');
  const [kind, why] = judged(step.detail);
  return h('li', {},
    h('span', { class: `step ${kind}` }, h('b', {}, verb), ` ${rest.join(' ')}`, why ? h('small', {}, why) : null),
    below.length ? h('ul', {}, below.map((each) => branch(each, steps))) : null);
}

/** @param {string} detail @returns {[string, string]} */
function judged(detail) {
  if (/^SCAN (?!CONSTANT)/.test(detail)) {
    return detail.includes('USING') ? ['scan', 'all of an index'] : ['scan', 'every row'];
  }
  if (detail.startsWith('SEARCH')) return ['search', detail.includes('AUTOMATIC') ? 'an index made for this query' : ''];
  if (detail.includes('TEMP B-TREE')) return ['sort', 'sorted on the side'];
  return ['', ''];
}
