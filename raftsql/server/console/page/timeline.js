// @ts-check
/** Elections, changes of members, snapshots and alarms, newest first. */

import { ask } from './api.js';
import { fill, h, icon } from './dom.js';
import { clock } from './format.js';

/** @typedef {import('./live.js').Happened} Happened */

const KEPT_MAX = 200;

export class Timeline {
  constructor() {
    /** @type {Happened[]} */
    this.known = [];
    this.element = h('ol', { class: 'timeline', tabIndex: 0, 'aria-label': 'What happened, newest first' });
    this.draw();
  }

  /** What happened before this page was opened, or while it heard nothing. */
  async load() {
    try {
      const { happened } = await ask('GET', 'timeline');
      for (const each of happened) this.put(each);
      this.draw();
    } catch {
      // The banner says why.
    }
  }

  /** @param {Happened} happened */
  add(happened) {
    this.put(happened);
    this.draw();
  }

  /** @param {Happened} happened */
  put(happened) {
    const { at_ms, text } = happened;
    if (this.known.some((each) => each.at_ms === at_ms && each.text === text)) return;
    this.known.push(happened);
    this.known.sort((a, b) => b.at_ms - a.at_ms);
    this.known.length = Math.min(this.known.length, KEPT_MAX);
  }

  draw() {
    fill(this.element, this.known.map(({ at_ms, kind, text }) =>
      h('li', { 'data-kind': over(kind, text) }, icon(kind),
        h('time', { datetime: new Date(at_ms).toISOString(), title: new Date(at_ms).toLocaleString() },
          clock(at_ms)),
        h('span', {}, text))),
    this.known.length ? null : h('li', { class: 'empty' }, 'Nothing yet: elections, members, snapshots and alarms are told here.'));
  }
}

/** An alarm that is over is no alarm. @param {string} kind @param {string} text */
function over(kind, text) {
  return kind === 'alarm' && text.startsWith('over: ') ? 'over' : kind;
}
