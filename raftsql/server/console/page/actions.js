// @ts-check
/** What an operator may do from here. Each says what it will do, and asks first. */

import { ask } from './api.js';
import { question } from './dialog.js';
import { h } from './dom.js';
import { list } from './format.js';

/** @typedef {import('./live.js').Member} Member */
/** @typedef {import('./live.js').Cluster} Cluster */
/** @typedef {import('./dialog.js').Question} Question */

/** @param {string} name @param {object} [body] */
async function act(name, body = {}) {
  const { text } = await ask('POST', `actions/${name}`, body);
  return text;
}

export class Actions {
  /** @param {import('./login.js').Me} me */
  constructor(me) {
    this.allowed = !me.users || me.role === 'admin';
    this.me = me;
    /** @type {Cluster | null} */
    this.cluster = null;
    this.buttons = h('div', { class: 'actions' },
      this.button('Add a member', () => this.add()),
      this.button('Snapshot', () => this.snapshot()),
      this.button('Verify', () => this.verify()),
      this.button('Backup', () => this.backup()));
    this.note = this.allowed ? null : h('p', { class: 'note' },
      `Changing the cluster needs the role admin; ${me.user} has the role ${me.role}.`);
  }

  /** @param {Cluster} cluster */
  told(cluster) {
    this.cluster = cluster;
  }

  /** @param {string} text @param {() => void} onclick @param {string} [name] in the list of Ctrl-K */
  button(text, onclick, name = text) {
    return h('button', { class: 'small', onclick, disabled: !this.allowed, 'data-action': name }, text);
  }

  /** What may be done with a member. @param {number} id */
  ofMember(id) {
    const lead = this.button('Make leader', () => this.transfer(id), `Make node ${id} leader`);
    const vote = this.button('Give a vote', () => this.promote(id), `Give node ${id} a vote`);
    const remove = this.button('Remove', () => this.remove(id), `Remove node ${id}`);
    return {
      element: h('div', { class: 'actions' }, lead, vote, remove),
      /** @param {Member} member @param {number | null} leader */
      told: (member, leader) => {
        lead.hidden = member.role === 'leader' || member.role === 'learner';
        vote.hidden = member.role !== 'learner';
        lead.disabled = !this.allowed || leader === null || !member.reachable;
      },
    };
  }

  /** @param {number} to */
  transfer(to) {
    const from = this.cluster?.leader ?? null;
    void question({
      title: `Make node ${to} the leader?`,
      says: [`Node ${from} stops taking writes, waits until node ${to} has everything, and hands over. `
        + 'Writes wait for some milliseconds; none is lost. Open transactions are rolled back.'],
      confirm: `Make node ${to} the leader`,
      act: () => act('transfer', { to }),
    });
  }

  /** @param {number} node_id */
  promote(node_id) {
    void question({
      title: `Give node ${node_id} a vote?`,
      says: [`Node ${node_id} has a copy and no vote. With a vote it counts for majorities: it should `
        + 'be as reliable as the others.'],
      confirm: `Give node ${node_id} a vote`,
      act: () => act('add', { node_id }),
    });
  }

  /** @param {number} node_id */
  remove(node_id) {
    const left = (this.cluster?.members ?? []).filter((m) => m.node_id !== node_id && m.role !== 'learner');
    void question({
      title: `Remove node ${node_id} from the cluster?`,
      says: [`Node ${node_id} is told, stops, and is refused from then on; its data directory stays on its `
        + 'machine, but its number is never used again.',
      left.length === 0 ? 'It is the last one with a vote: the cluster will refuse.'
        : `Left with a vote: ${list(left.map((m) => `node ${m.node_id}`))}; `
          + `${Math.floor((left.length - 1) / 2)} of them may fail before writes stop.`],
      confirm: `Remove node ${node_id}`,
      danger: true,
      act: () => act('remove', { node_id }),
    });
  }

  /** A node asks for its place itself: here is how to start one. */
  add() {
    const joins = (this.cluster?.members ?? []).filter((m) => m.reachable).map((m) => m.address);
    void question({
      title: 'Add a member',
      says: ['Start a node on its machine, and it appears here by itself. It comes in without a vote, is sent '
        + 'what it lacks, and votes once it has caught up; nobody waits for it meanwhile. With --learner it '
        + 'never votes.'],
      command: `raftsql serve --data-dir ./raftsql-data --listen HOST:4001 --join ${joins.join(',')}`,
    });
  }

  snapshot() {
    const here = this.me.node_id;
    void question({
      title: `Take a snapshot on node ${here}?`,
      says: [`Node ${here} makes its database durable up to the newest entry and drops the log before it, but `
        + 'for a tail. Nodes do this by themselves when their log grows long. Writes go on.'],
      confirm: 'Take a snapshot',
      act: () => act('snapshot'),
    });
  }

  verify() {
    void question({
      title: 'Compare all copies?',
      says: ['A marker goes through the log, and at exactly that place every node reads all of its rows and '
        + 'sums them up. The sums are compared; a difference names the tables and raises an alarm. '
        + 'Reading takes a while with much data; writes go on.'],
      confirm: 'Compare all copies',
      act: () => act('verify'),
    });
  }

  backup() {
    void question({
      title: 'Download a backup?',
      says: ['This node copies its database as it is at one moment and sends it: a plain SQLite file, with '
        + 'every table that there is. Writes go on.'],
      confirm: 'Download a backup',
      act: async () => {
        await ask('GET', 'me');
        const link = h('a', { href: 'api/backup', download: '' });
        document.body.append(link);
        link.click();
        link.remove();
        return 'The download of the backup has begun.';
      },
    });
  }
}
