// @ts-check
/** Who led, and when nobody did: the last minutes as one strip. */

import { fill, h } from './dom.js';
import { seconds } from './format.js';
import { GAP_MS, KEPT_MS, span, ticks } from './span.js';

/** A piece narrower than this part of the strip has only room for a number, or for nothing. */
const ROOM = { words: 0.14, number: 0.03 };

/** @typedef {{from: number, to: number, leader: number | null, term: number}} Reign */

export class Ribbon {
  constructor() {
    /** @type {Reign[]} */
    this.reigns = [];
    this.broken = true;
    this.strip = h('div', { class: 'strip', role: 'img' });
    this.ticks = h('div', { class: 'ticks', 'aria-hidden': 'true' });
    this.element = h('section', { class: 'ribbon', 'aria-label': 'Who led' }, this.strip, this.ticks);
  }

  /** Nobody is heard: what comes next does not continue what was. */
  pause() {
    this.broken = true;
  }

  /** @param {number} at @param {number | null} leader @param {number} term */
  add(at, leader, term) {
    const last = this.reigns[this.reigns.length - 1];
    const follows = last !== undefined && !this.broken && at - last.to < GAP_MS;
    if (follows) last.to = at;
    const same = follows && last.leader === leader && (leader === null || last.term === term);
    if (!same) this.reigns.push({ from: at, to: at, leader, term });
    this.broken = false;
    while (this.reigns.length > 0 && this.reigns[0].to < at - KEPT_MS) this.reigns.shift();
  }

  draw() {
    const now = Date.now();
    const wide = span();
    const last = this.reigns[this.reigns.length - 1];
    fill(this.ticks, ticks().map((text) => h('span', {}, text)));
    fill(this.strip, this.reigns.map((reign) => {
      const start = Math.max(reign.from, now - wide);
      const end = reign === last && !this.broken ? now : reign.to;
      const part = Math.max(0, end - start) / wide;
      const piece = h('div', { class: hue(reign.leader), title: told(reign, end) }, label(reign, part));
      piece.style.left = `${100 * ((start - now + wide) / wide)}%`;
      piece.style.width = `${100 * part}%`;
      return piece;
    }));
    this.strip.setAttribute('aria-label', this.reigns.map((reign) =>
      told(reign, reign === last ? now : reign.to)).join('; '));
  }
}

/** @param {Reign} reign @param {number} part of the strip that it takes */
function label({ leader, term }, part) {
  if (leader === null || part < ROOM.number) return null;
  return part < ROOM.words ? h('span', {}, leader) : h('span', {}, `node ${leader}`, h('small', {}, `term ${term}`));
}

/** @param {number | null} leader */
function hue(leader) {
  return leader === null ? 'reign nobody' : `reign hue${leader % 5}`;
}

/** @param {Reign} reign @param {number} end */
function told({ from, leader, term }, end) {
  const long = seconds((end - from) / 1000);
  return leader === null ? `nobody led for ${long}` : `node ${leader} led in term ${term} for ${long}`;
}
