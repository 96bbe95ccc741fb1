// @ts-check
/** What the keys do: the list that `?` shows. */

import { shown } from './dialog.js';
import { h } from './dom.js';

/** @type {[string, [string[], string][]][]} */
const KEYS = [
  ['Everywhere', [
    [['1', '2', '3'], 'cluster, SQL, schema'],
    [['/', 'Ctrl K'], 'jump to a table, a view, an action or an earlier statement'],
    [['?'], 'these keys'],
    [['Esc'], 'close what is open'],
  ]],
  ['In the editor', [
    [['Ctrl Enter'], 'run the selection, or all of it'],
    [['Esc'], 'cancel what runs'],
    [['Ctrl /'], 'comment the lines out, and in again'],
    [['Ctrl Space'], 'complete; Tab takes, ↑ and ↓ choose'],
    [['Alt ↑', 'Alt ↓'], 'earlier and later statements'],
    [['Ctrl Shift E'], 'the plan'],
  ]],
  ['In a table', [
    [['↑', '↓', '←', '→'], 'another cell'],
    [['Home', 'End', 'Page ↑', 'Page ↓'], 'further'],
    [['Ctrl C'], 'copy the cell'],
    [['Enter'], 'the whole cell'],
  ]],
];

/** Keys typed here are text. @param {EventTarget | null} target */
export function isTyping(target) {
  return target instanceof HTMLElement && target.matches('input, textarea, select');
}

export function showKeys() {
  const dialog = h('dialog', { class: 'keys', 'aria-labelledby': 'keys' },
    h('h2', { id: 'keys' }, 'Keys'),
    h('div', { class: 'columns' }, KEYS.map(([where, keys]) => h('section', {},
      h('h3', {}, where),
      h('dl', {}, keys.map(([pressed, does]) => [
        h('dt', {}, pressed.map((key) => h('kbd', {}, key))), h('dd', {}, does),
      ]).flat())))),
    h('form', { method: 'dialog', class: 'buttons' }, h('button', { class: 'strong' }, 'Close')));
  void shown(dialog);
}
