// @ts-check
/** The members, a row each; on a narrow screen a card each. Rows stay, and only what changes moves. */

import { h, say } from './dom.js';
import { bytes, count, milliseconds, UNKNOWN } from './format.js';

/** @typedef {import('./live.js').Member} Member */

const COLUMNS = ['Node', 'Role', 'Term', 'Applied', 'Lag', 'Latency', 'Disk', 'Memory', 'Version', ''];

export class Members {
  /** @param {import('./actions.js').Actions} actions */
  constructor(actions) {
    this.actions = actions;
    /** @type {Map<number, Row>} */
    this.rows = new Map();
    this.body = h('tbody');
    this.element = h('table', { class: 'members' },
      h('thead', {}, h('tr', {}, COLUMNS.map((name, at) =>
        h('th', { scope: 'col', class: at > 1 && at < 9 ? 'number' : '' },
          name || h('span', { class: 'unseen' }, 'Actions'))))),
      this.body);
  }

  /** @param {import('./live.js').Cluster} cluster */
  told({ members, leader }) {
    for (const member of members) {
      let row = this.rows.get(member.node_id);
      if (row === undefined) {
        row = new Row(member, this.actions);
        this.rows.set(member.node_id, row);
      }
      row.told(member, leader);
    }
    const there = new Set(members.map((member) => member.node_id));
    for (const id of this.rows.keys()) if (!there.has(id)) this.rows.delete(id);
    const wanted = [...this.rows.values()].sort((a, b) => a.id - b.id).map((row) => row.element);
    if (wanted.some((row, at) => this.body.children[at] !== row)
      || this.body.children.length !== wanted.length) this.body.replaceChildren(...wanted);
  }
}

class Row {
  /** @param {Member} member @param {import('./actions.js').Actions} actions */
  constructor(member, actions) {
    this.id = member.node_id;
    this.address = h('small');
    this.role = h('span', { class: 'role' });
    this.cells = Object.fromEntries(COLUMNS.slice(2, 9).map((name) =>
      [name, h('td', { class: 'number', 'data-label': name })]));
    this.buttons = actions.ofMember(member.node_id);
    this.element = h('tr', { 'data-node': member.node_id },
      h('th', { scope: 'row' }, h('b', {}, h('i', { class: `swatch hue${member.node_id % 5}`, 'aria-hidden': 'true' }), member.node_id), this.address),
      h('td', { 'data-label': 'Role' }, this.role),
      Object.values(this.cells),
      h('td', { class: 'doing' }, this.buttons.element));
  }

  /** @param {Member} member @param {number | null} leader */
  told(member, leader) {
    const { cells } = this;
    const role = member.reachable ? member.role : 'silent';
    if (this.element.getAttribute('data-role') !== role) this.element.setAttribute('data-role', role);
    say(this.address, member.address);
    say(this.role, role === 'silent' ? 'no answer' : role);
    say(cells.Term, count(member.term));
    say(cells.Applied, count(member.applied));
    say(cells.Lag, member.role === 'leader' ? UNKNOWN : count(member.lag));
    say(cells.Latency, milliseconds(member.latency_ms));
    say(cells.Disk, bytes(member.disk_bytes));
    say(cells.Memory, bytes(member.memory_bytes));
    say(cells.Version, member.version ?? UNKNOWN);
    cells.Lag.classList.toggle('far', (member.lag ?? 0) > 1000);
    this.buttons.told(member, leader);
  }
}
