// @ts-check
/** The cluster as it is now, in a sentence, in drawings and in a table. */

import { Actions } from './actions.js';
import { fill, h, say } from './dom.js';
import { list, many, milliseconds, rate } from './format.js';
import { Members } from './members.js';
import { Plot } from './plots.js';
import { Ribbon } from './ribbon.js';
import { Timeline } from './timeline.js';

/** @typedef {import('./live.js').Cluster} Cluster */
/** @typedef {import('./live.js').Happened} Happened */

export class ClusterView {
  /** @param {import('./live.js').Live} live @param {import('./login.js').Me} me */
  constructor(live, me) {
    this.name = 'cluster';
    this.title = 'Cluster';
    this.headline = h('h1', { id: 'headline' }, 'Listening to the cluster …');
    this.below = h('p', { class: 'below', id: 'below' });
    this.announced = h('p', { class: 'unseen', role: 'status', 'aria-live': 'polite' });
    this.alarms = h('ul', { class: 'alarms', 'aria-label': 'Alarms' });
    this.ribbon = new Ribbon();
    this.plots = {
      writes: new Plot('Writes', '/s', rate, ['writes']),
      reads: new Plot('Reads', '/s', rate, ['reads']),
      latency: new Plot('Write latency', '', milliseconds, ['half', 'slowest 1 %']),
    };
    this.actions = new Actions(me);
    this.members = new Members(this.actions);
    this.timeline = new Timeline();
    this.element = h('div', { class: 'view cluster' },
      h('section', { class: 'hero' }, this.headline, this.below, this.announced, this.alarms),
      this.ribbon.element,
      h('section', { class: 'plots', 'aria-label': 'Load' },
        Object.values(this.plots).map((plot) => plot.element)),
      h('div', { class: 'pair' },
        h('section', { class: 'panel wide', 'aria-labelledby': 'members' },
          h('div', { class: 'panel-head' }, h('h2', { id: 'members' }, 'Members'),
            this.actions.buttons),
          this.members.element, this.actions.note),
        h('section', { class: 'panel', 'aria-labelledby': 'timeline' },
          h('div', { class: 'panel-head' }, h('h2', { id: 'timeline' }, 'What happened')),
          this.timeline.element)));
    live.addEventListener('cluster', (event) =>
      this.told(/** @type {CustomEvent<Cluster>} */ (event).detail));
    live.addEventListener('happened', (event) =>
      this.timeline.add(/** @type {CustomEvent<Happened>} */ (event).detail));
    live.addEventListener('woken', () => void this.timeline.load());
    live.addEventListener('state', (event) => this.heard(/** @type {CustomEvent} */ (event).detail));
  }

  shown() {
    void this.timeline.load();
    this.draw();
  }

  /** @param {boolean} heard */
  heard(heard) {
    this.element.classList.toggle('stale', !heard);
    if (heard) void this.timeline.load();
    else this.ribbon.pause();
  }

  /** @param {Cluster} cluster */
  told(cluster) {
    const { alarms, rates } = cluster;
    const at = Date.now();
    this.cluster = cluster;
    this.ribbon.add(at, cluster.leader, cluster.term);
    this.plots.writes.add(at, [rates.writes]);
    this.plots.reads.add(at, [rates.reads]);
    this.plots.latency.add(at, [rates.write_p50_ms, rates.write_p99_ms]);
    this.actions.told(cluster);
    this.members.told(cluster);
    say(this.headline, headline(cluster));
    say(this.below, below(cluster));
    say(this.announced, headline(cluster));
    this.element.classList.toggle('leaderless', cluster.leader === null);
    if (this.alarms.textContent !== alarms.join('')) {
      fill(this.alarms, alarms.map((text) => h('li', {}, text)));
    }
    this.draw();
  }

  /** Only what is seen is drawn. */
  draw() {
    if (this.element.hidden || document.hidden) return;
    this.ribbon.draw();
    for (const plot of Object.values(this.plots)) plot.draw();
  }
}

/** @param {Cluster} cluster */
function headline({ leader, term }) {
  return leader === null ? 'Nobody leads.' : `Node ${leader} leads in term ${term}.`;
}

/** @param {Cluster} cluster */
function below({ leader, members }) {
  const silent = members.filter((member) => !member.reachable).map((member) => member.node_id);
  const voters = members.filter((member) => member.role !== 'learner').length;
  const answering = silent.length === 0
    ? `${members.length > 1 ? `All ${many(members.length, 'member')} answer` : 'It is alone'}`
    : `${silent.length > 1 ? 'Nodes' : 'Node'} ${list(silent)} ${silent.length > 1 ? 'do' : 'does'} not answer`;
  const waits = leader === null ? '; writes wait until a majority has chosen' : '';
  const spare = Math.floor((voters - 1) / 2) - silent.length;
  const may = leader === null ? '' : spare > 0
    ? `; ${many(spare, 'more', 'more')} may fail before writes stop`
    : voters > 1 ? '; no other may fail, or writes stop' : '';
  return `${answering}${waits}${may}.`;
}
