// @ts-check
/** The page as a whole: who is here, which view is shown, what the keys do. */

import { ask, doorbell } from './api.js';
import { ClusterView } from './cluster.js';
import { fill, h, icon, say } from './dom.js';
import { clock } from './format.js';
import { isTyping, showKeys } from './keys.js';
import { Live } from './live.js';
import { jump } from './jump.js';
import { login, whoami } from './login.js';
import { SchemaView } from './schema.js';
import { SqlView } from './sql.js';
import { keep, recall } from './store.js';

/** @typedef {import('./login.js').Me} Me */
/**
 * @typedef {object} View
 * @property {string} name
 * @property {string} title
 * @property {HTMLElement} element
 * @property {(rest: string) => void} shown told what stands behind the name in the address
 */

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const banner = /** @type {HTMLElement} */ (document.getElementById('banner'));
const standing = /** @type {HTMLElement} */ (document.getElementById('standing'));
const THEMES = /** @type {const} */ (['auto', 'light', 'dark']);

const live = new Live();
/** @type {Me} */
let me;
/** @type {View[]} */
let views = [];
let renewing = false;

async function start() {
  me = await whoami((text) => fill(main, h('p', { class: 'empty' }, text)));
  const sql = new SqlView(me);
  const schema = new SchemaView((text) => {
    location.hash = 'sql';
    sql.open(text);
  });
  sql.schema = schema.catalogue;
  views = [new ClusterView(live, me), sql, schema];
  fill(document.getElementById('views') ?? main, views.map(({ name, title }) =>
    h('a', { href: `#${name}`, 'data-view': name }, title)));
  for (const { element } of views) element.hidden = true;
  fill(main, ...views.map(({ element }) => element));
  tools();
  route();
  addEventListener('hashchange', route);
  addEventListener('keydown', pressed);
  doorbell.addEventListener('expired', () => void expired());
  live.addEventListener('cluster', stand);
  live.addEventListener('state', stand);
  live.addEventListener('who', (event) => {
    if (/** @type {CustomEvent<Me>} */ (event).detail.user !== me.user) void expired();
  });
  live.start();
  schema.catalogue.refresh();
}

/** Show the view that the address names. */
function route() {
  const [name, ...rest] = location.hash.slice(1).split('/');
  const view = views.find((each) => each.name === name) ?? views[0];
  for (const each of views) each.element.hidden = each !== view;
  for (const link of document.querySelectorAll('#views a')) {
    if (link.getAttribute('data-view') === view.name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${view.title} · raftsql node ${me.node_id}`;
  let behind = rest.join('/');
  try {
    behind = decodeURIComponent(behind);
  } catch {
    // As somebody typed it.
  }
  view.shown(behind);
}

/** Which node this page is of, and whether that is heard. */
function stand() {
  const dot = h('span', { class: live.heard ? 'dot live' : 'dot lost' });
  const text = `node ${me.node_id}`;
  fill(standing, dot, h('span', {}, text), h('span', { class: 'wide' }, me.address));
  if (live.heard) return say(banner, '');
  say(banner, `Node ${me.node_id} at ${location.host} does not answer since `
    + `${clock(live.heardAt)}. What you see is from then; trying again.`);
  const elsewhere = live.cluster?.members.filter((m) => m.console && m.node_id !== me.node_id) ?? [];
  banner.append(...elsewhere.map((m) => h('a', { href: m.console }, `Go to node ${m.node_id}`)));
}

function tools() {
  const box = document.getElementById('tools') ?? main;
  const theme = h('button', { class: 'quiet', id: 'theme', onclick: () => turn(1) });
  const turn = (/** @type {number} */ by) => {
    const now = recall('theme', 'auto');
    const next = THEMES[(THEMES.indexOf(/** @type {any} */ (now)) + by) % THEMES.length] ?? 'auto';
    if (next === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    keep('theme', next);
    const names = { auto: 'as the system', light: 'light', dark: 'dark' };
    theme.setAttribute('aria-label', `Colours: ${names[next]}`);
    theme.title = `Colours: ${names[next]}`;
    fill(theme, icon({ auto: 'auto', light: 'sun', dark: 'moon' }[next]));
  };
  turn(0);
  fill(box,
    h('button', { class: 'quiet', title: 'Jump (Ctrl-K)', 'aria-label': 'Jump to a table, a view or an action', onclick: leap }, icon('search')),
    theme,
    h('button', { class: 'quiet', title: 'Keys (?)', 'aria-label': 'Keys', onclick: showKeys }, icon('help')),
    me.users ? h('span', { class: 'who wide' }, me.user ?? '', h('small', {}, me.role ?? '')) : null,
    me.users ? h('button', { class: 'quiet', title: 'Log out', 'aria-label': 'Log out', onclick: logout }, icon('leave')) : null);
  stand();
}

async function logout() {
  live.stop();
  await ask('POST', 'logout').catch(() => {});
  sessionStorage.clear();
  location.reload();
}

/** The login is over: ask anew, and go on where we were, if it is the same person. */
async function expired() {
  if (renewing) return;
  renewing = true;
  live.stop();
  const again = await renewed();
  renewing = false;
  if (again.user !== me.user) {
    sessionStorage.clear();
    location.reload();
    return;
  }
  me = again;
  live.start();
}

/** Where nobody has to log in, asking is enough: the node has started anew, and knows no session. */
async function renewed() {
  try {
    return await ask('GET', 'me');
  } catch {
    return login('Your login has expired. What you typed is still here.', me.user ?? '');
  }
}

function leap() {
  const sql = /** @type {SqlView} */ (views.find(({ name }) => name === 'sql'));
  jump(views, sql, document.querySelectorAll('[data-action]'));
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (document.querySelector('dialog[open]')) return;
  const held = event.ctrlKey || event.metaKey;
  if (held && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    leap();
  } else if (!held && !event.altKey && !isTyping(event.target)) {
    const view = views[Number(event.key) - 1];
    if (view) location.hash = view.name;
    else if (event.key === '?') showKeys();
    else if (event.key === '/') leap();
    else return;
    event.preventDefault();
  }
}

void start();
