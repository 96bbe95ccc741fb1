// @ts-check
/** Who looks at this page: asked at its beginning, and again when a login has expired. */

import { ask, Gone, Refused, words } from './api.js';
import { shown } from './dialog.js';
import { fill, h } from './dom.js';

/**
 * @typedef {object} Me
 * @property {string | null} user
 * @property {string | null} role `admin`, `write` or `read`; null where the cluster has no users
 * @property {boolean} users
 * @property {number} node_id
 * @property {string} version
 * @property {string} address
 */

const TRY_AGAIN_MS = 1000;
/** @type {Promise<Me> | null} */
let asking = null;

/**
 * Who this is, whatever it takes: a login, or a node that comes back.
 * @param {(text: string) => void} waiting told why nothing is to be seen yet
 * @returns {Promise<Me>}
 */
export async function whoami(waiting) {
  for (;;) {
    try {
      return await ask('GET', 'me');
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return login('');
      waiting(error instanceof Gone ? 'This node does not answer; trying again.' : words(error));
      await new Promise((done) => setTimeout(done, TRY_AGAIN_MS));
    }
  }
}

/**
 * Ask for a name and a password until they are right. Asked twice at once, it asks once.
 * @param {string} why shown above the fields
 * @param {string} [name] known already
 * @returns {Promise<Me>}
 */
export function login(why, name = '') {
  asking ??= asked(why, name).finally(() => {
    asking = null;
  });
  return asking;
}

/** @param {string} why @param {string} name @returns {Promise<Me>} */
async function asked(why, name) {
  /** @type {Me | null} */
  let me = null;
  const trouble = h('p', { class: 'trouble', role: 'alert' });
  const button = h('button', { class: 'strong', type: 'submit' }, 'Log in');
  const user = h('input', { name: 'user', autocomplete: 'username', required: true, value: name,
    autofocus: !name, spellcheck: 'false', autocapitalize: 'none' });
  const password = h('input', { name: 'password', type: 'password', required: true,
    autocomplete: 'current-password', autofocus: Boolean(name) });
  const form = h('form', { onsubmit: submitted },
    h('h1', { id: 'login' }, 'raftsql'),
    h('p', {}, why || `The console of the node at ${location.host}.`),
    h('label', { class: 'field' }, h('span', {}, 'User'), user),
    h('label', { class: 'field' }, h('span', {}, 'Password'), password),
    trouble, h('div', { class: 'buttons' }, button));
  const dialog = h('dialog', { class: 'login', 'aria-labelledby': 'login', closedby: 'none',
    oncancel: (/** @type {Event} */ event) => event.preventDefault() }, form);

  /** @param {SubmitEvent} event */
  async function submitted(event) {
    event.preventDefault();
    button.disabled = true;
    fill(trouble);
    try {
      await ask('POST', 'login', { user: user.value, password: password.value });
      me = await ask('GET', 'me');
      dialog.close();
    } catch (error) {
      fill(trouble, words(error));
      password.value = '';
      password.focus();
    } finally {
      button.disabled = false;
    }
  }

  while (me === null) await shown(dialog);
  return me;
}
