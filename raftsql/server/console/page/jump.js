// @ts-check
/** One field that leads to everything: views, tables, actions, earlier statements. */

import { shown } from './dialog.js';
import { fill, h } from './dom.js';

/** @typedef {{kind: string, text: string, go: () => void}} Goal */

const SHOWN_MAX = 40;

/**
 * @param {import('./main.js').View[]} views
 * @param {import('./sql.js').SqlView} sql
 * @param {NodeListOf<Element>} actions the buttons that are on the page now
 */
export function jump(views, sql, actions) {
  /** @type {Goal[]} */
  const goals = [
    ...views.map(({ name, title }) => ({ kind: 'view', text: title, go: to(name) })),
    ...sql.schema.tables.map(({ name, kind }) => ({
      kind, text: name, go: to(`schema/${encodeURIComponent(name)}`),
    })),
    ...[...actions].filter((button) => !(/** @type {HTMLButtonElement} */ (button).disabled))
      .map((button) => ({
        kind: 'action',
        text: button.getAttribute('data-action') ?? '',
        go: () => {
          location.hash = 'cluster';
          /** @type {HTMLElement} */ (button).click();
        },
      })),
    ...sql.history.entries.map((text) => ({
      kind: 'statement', text, go: () => { location.hash = 'sql'; sql.open(text); },
    })),
  ];
  void shown(picker(goals));
}

/** @param {string} hash */
function to(hash) {
  return () => { location.hash = hash; };
}

/** @param {Goal[]} goals */
function picker(goals) {
  let found = goals;
  let at = 0;
  const results = h('ul', { role: 'listbox', id: 'goals', 'aria-label': 'Where to' });
  const field = h('input', { type: 'search', 'aria-label': 'Jump to', placeholder: 'Jump to a table, a view, an action, an earlier statement',
    role: 'combobox', 'aria-expanded': 'true', 'aria-controls': 'goals', autocomplete: 'off',
    spellcheck: 'false', oninput: search, onkeydown: pressed });
  const dialog = h('dialog', { class: 'jump', 'aria-label': 'Jump' }, field, results);

  function search() {
    const wanted = field.value.trim().toLowerCase();
    found = goals.map((goal) => ({ goal, fit: fit(goal.text.toLowerCase(), wanted) }))
      .filter((each) => each.fit >= 0).sort((a, b) => a.fit - b.fit).map((each) => each.goal);
    at = 0;
    draw();
  }

  function draw() {
    fill(results, found.slice(0, SHOWN_MAX).map((goal, place) =>
      h('li', { role: 'option', id: `goal${place}`, 'aria-selected': String(place === at),
        onclick: () => take(goal) },
      h('span', { class: 'name' }, goal.text.slice(0, 200)), h('small', {}, goal.kind))),
    found.length ? null : h('li', { class: 'empty' }, 'Nothing is called that.'));
    field.setAttribute('aria-activedescendant', found.length ? `goal${at}` : '');
    results.children[at]?.scrollIntoView({ block: 'nearest' });
  }

  /** @param {KeyboardEvent} event */
  function pressed(event) {
    const last = Math.min(found.length, SHOWN_MAX) - 1;
    if (event.key === 'ArrowDown') at = Math.min(at + 1, last);
    else if (event.key === 'ArrowUp') at = Math.max(at - 1, 0);
    else if (event.key === 'Enter' && found[at]) return take(found[at]);
    else return;
    event.preventDefault();
    draw();
  }

  /** @param {Goal} goal */
  function take(goal) {
    dialog.close();
    goal.go();
  }

  draw();
  return dialog;
}

/**
 * How well a text fits, the less the better; -1 if its letters are not there in this order.
 * @param {string} text
 * @param {string} wanted
 */
function fit(text, wanted) {
  if (!wanted) return 0;
  const whole = text.indexOf(wanted);
  if (whole >= 0) return whole;
  let at = -1;
  for (const letter of wanted) {
    at = text.indexOf(letter, at + 1);
    if (at < 0) return -1;
  }
  return 1000 + at;
}
