// @ts-check
/** What is asked before something is done, and the short notices of what was done. */

import { Gone, words } from './api.js';
import { fill, h, icon } from './dom.js';

const NOTICE_MS = 9000;

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string[]} says what it will do, a paragraph each
 * @property {string} [command] what to type elsewhere
 * @property {string} [confirm] the words on the button: what is done, not "OK"
 * @property {boolean} [danger]
 * @property {() => Promise<string | void>} [act] answers what happened; without it there is only to read
 */

/**
 * Say what would be done, ask, do it, and tell what happened. Ends when the dialog does.
 * @param {Question} question
 * @returns {Promise<void>}
 */
export function question({ title, says, command, confirm = 'Close', danger = false, act }) {
  const trouble = h('p', { class: 'trouble', role: 'alert' });
  const go = h('button', { type: 'submit', class: danger ? 'strong danger' : 'strong' }, confirm);
  const leave = h('button', { type: 'button', onclick: () => dialog.close() }, 'Leave it');
  const form = h('form', { method: 'dialog', onsubmit: submitted },
    h('h2', { id: 'question' }, title),
    says.map((text) => h('p', {}, text)),
    command ? h('pre', { class: 'command', tabIndex: 0 }, command) : null,
    trouble,
    h('div', { class: 'buttons' }, act ? leave : null, go));
  const dialog = h('dialog', { class: 'question', 'aria-labelledby': 'question' }, form);

  /** @param {SubmitEvent} event */
  async function submitted(event) {
    event.preventDefault();
    if (act === undefined) return dialog.close();
    go.disabled = true;
    fill(trouble);
    const since = Date.now();
    const timer = setInterval(() => {
      fill(go, `${confirm} … ${Math.round((Date.now() - since) / 1000)} s`);
    }, 1000);
    try {
      const happened = await act();
      dialog.close();
      if (happened) notice(happened);
    } catch (error) {
      fill(trouble, error instanceof Gone
        ? `${words(error)}: whether it was done is not known` : words(error));
    } finally {
      clearInterval(timer);
      fill(go, confirm);
      go.disabled = false;
    }
  }

  return shown(dialog);
}

/**
 * Put a dialog on the page until it closes.
 * @param {HTMLDialogElement} dialog
 * @returns {Promise<void>}
 */
export function shown(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      done();
    });
  });
}

/** Tell what happened, for a while. @param {string} text @param {'done' | 'bad'} [kind] */
export function notice(text, kind = 'done') {
  const box = h('div', { class: `notice ${kind}` }, h('span', {}, text),
    h('button', { class: 'quiet', 'aria-label': 'Close the notice', onclick: () => box.remove() },
      icon('close')));
  document.getElementById('notices')?.append(box);
  setTimeout(() => box.remove(), NOTICE_MS);
}
