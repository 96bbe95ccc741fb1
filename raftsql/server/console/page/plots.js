// @ts-check
/** A small plot of the last minutes. Drawn here, in SVG: a line, its area, a second line. */

import { fill, h, say, svg } from './dom.js';
import { clock } from './format.js';
import { GAP_MS, KEPT_MS, span } from './span.js';

const WIDTH = 600;
const HEIGHT = 120;

/** @typedef {{at: number, values: (number | null)[]}} Sample */

export class Plot {
  /**
   * @param {string} title
   * @param {string} unit
   * @param {(value: number | null) => string} written
   * @param {string[]} series
   */
  constructor(title, unit, written, series) {
    this.unit = unit;
    this.written = written;
    this.series = series;
    /** @type {Sample[]} */
    this.samples = [];
    /** Where the pointer is, from 0 to 1. @type {number | null} */
    this.pointed = null;
    this.now = h('b', {}, '–');
    this.aside = h('small');
    this.top = h('span', { class: 'top' });
    this.area = svg('path', { class: 'area' });
    this.lines = series.map((_, at) => svg('path', { class: `line line${at}` }));
    this.hair = svg('path', { class: 'hair' });
    this.drawing = svg('svg', {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img',
      'aria-label': `${title}, the last minutes`,
    }, svg('path', { class: 'rules', d: `M0 1H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}` }),
    this.area, [...this.lines].reverse(), this.hair);
    this.element = h('figure', { class: 'plot' },
      h('figcaption', {}, h('span', { class: 'title' }, title),
        h('span', { class: 'value' }, this.now, unit), this.aside),
      h('div', { class: 'drawing', onpointermove: (/** @type {PointerEvent} */ e) => this.point(e),
        onpointerleave: () => this.point(null) }, this.drawing, this.top));
  }

  /** @param {number} at @param {(number | null)[]} values */
  add(at, values) {
    this.samples.push({ at, values });
    const oldest = this.samples.findIndex((sample) => sample.at > at - KEPT_MS - GAP_MS);
    if (oldest > 0) this.samples.splice(0, oldest);
  }

  /** @param {PointerEvent | null} event */
  point(event) {
    const box = this.drawing.getBoundingClientRect();
    this.pointed = event === null ? null : (event.clientX - box.left) / box.width;
    this.draw();
  }

  draw() {
    const last = this.samples[this.samples.length - 1];
    if (last === undefined) return;
    const most = Math.max(...this.samples.flatMap(({ values }) => values.map((v) => v ?? 0)));
    const top = nice(most);
    const wide = span();
    const x = (/** @type {Sample} */ { at }) => WIDTH * (1 - (last.at - at) / wide);
    const y = (/** @type {number} */ value) => HEIGHT - 1 - (HEIGHT - 6) * (value / top);
    this.lines.forEach((line, place) =>
      line.setAttribute('d', path(this.samples, place, x, y)));
    this.area.setAttribute('d', area(this.samples, x, y));
    say(this.top, most > 0 ? this.written(top) : '');
    this.tell(last, x);
  }

  /** The numbers now, or where the pointer is. @param {Sample} last @param {(sample: Sample) => number} x */
  tell(last, x) {
    let told = last;
    if (this.pointed !== null) {
      const wanted = this.pointed * WIDTH;
      told = this.samples.reduce((best, each) =>
        Math.abs(x(each) - wanted) < Math.abs(x(best) - wanted) ? each : best, last);
    }
    this.hair.setAttribute('d', this.pointed === null ? '' : `M${x(told)} 0V${HEIGHT}`);
    say(this.now, this.written(told.values[0]));
    const others = this.series.slice(1).map((name, at) =>
      `${name} ${this.written(told.values[at + 1])}`);
    if (this.pointed !== null) others.push(`at ${clock(told.at)}`);
    const text = others.join(' · ');
    if (this.aside.textContent !== text) fill(this.aside, text);
  }
}

/**
 * @param {Sample[]} samples @param {number} place
 * @param {(sample: Sample) => number} x @param {(value: number) => number} y
 */
function path(samples, place, x, y) {
  let drawn = '';
  let before = -Infinity;
  for (const sample of samples) {
    const value = sample.values[place];
    if (value === null || value === undefined) continue;
    drawn += `${sample.at - before > GAP_MS ? 'M' : 'L'}${x(sample).toFixed(1)} ${y(value).toFixed(1)}`;
    before = sample.at;
  }
  return drawn;
}

/** @param {Sample[]} samples @param {(sample: Sample) => number} x @param {(value: number) => number} y */
function area(samples, x, y) {
  let drawn = '';
  /** @type {Sample | null} */
  let before = null;
  for (const sample of samples) {
    const value = sample.values[0];
    if (value === null || value === undefined) continue;
    const here = x(sample).toFixed(1);
    if (before === null || sample.at - before.at > GAP_MS) {
      if (before !== null) drawn += `V${HEIGHT}Z`;
      drawn += `M${here} ${HEIGHT}V${y(value).toFixed(1)}`;
    } else {
      drawn += `L${here} ${y(value).toFixed(1)}`;
    }
    before = sample;
  }
  return drawn && `${drawn}V${HEIGHT}Z`;
}

/** The next of 1, 2, 5, 10, … @param {number} value */
function nice(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}
