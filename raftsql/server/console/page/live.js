// @ts-check
/**
 * What the node tells by itself: the cluster once a second, and what happens in it at once.
 *
 * Dispatches `cluster`, `happened` and `state` (its detail: whether the node is heard). When the
 * stream ends, it asks why: an expired login rings the doorbell, anything else is tried again, and
 * `who` tells who is logged in, which another page of the browser may have changed.
 *
 * A browser has six connections to a node for all of its pages, and a stream takes one. So a page
 * that is left lets go of its stream, although the browser may keep it for the way back; and one
 * that nobody sees does when another page listens. Seen again, it goes on (`woken`).
 */

import { ask, doorbell, Refused } from './api.js';

/**
 * @typedef {object} Member
 * @property {number} node_id
 * @property {string} address
 * @property {'leader' | 'follower' | 'learner' | 'candidate'} role
 * @property {number | null} term
 * @property {number | null} applied
 * @property {number | null} lag
 * @property {number | null} latency_ms
 * @property {number | null} disk_bytes
 * @property {number | null} memory_bytes
 * @property {string | null} version
 * @property {boolean} reachable
 * @property {string | null} [console] where its own page is
 */
/**
 * @typedef {object} Cluster
 * @property {number | null} leader
 * @property {number} term
 * @property {number} node_id
 * @property {Member[]} members
 * @property {{writes: number, reads: number, write_p50_ms: number | null, write_p99_ms: number | null}} rates
 * @property {string[]} alarms
 */
/** @typedef {{at_ms: number, kind: string, text: string}} Happened */

const PAUSE_MS = { first: 250, most: 4000 };
/** Without a word for so long, the node is taken for gone: it speaks every second. */
const SILENCE_MS = 5000;

export class Live extends EventTarget {
  constructor() {
    super();
    /** @type {EventSource | null} */
    this.source = null;
    this.heard = true;
    this.heardAt = Date.now();
    this.pause = PAUSE_MS.first;
    /** @type {Cluster | null} */
    this.cluster = null;
    this.wanted = false;
    this.resting = false;
    this.timer = 0;
    this.others = new BroadcastChannel('raftsql.listening');
    this.others.addEventListener('message', () => document.hidden && this.rest());
    addEventListener('pagehide', () => this.rest());
    addEventListener('pageshow', () => this.wake());
    document.addEventListener('visibilitychange', () => document.hidden || this.wake());
    setInterval(() => this.watch(), 1000);
  }

  /** Listen from now on. */
  start() {
    this.stop();
    this.wanted = true;
    this.resting = false;
    this.others.postMessage('');
    const source = new EventSource('api/events');
    this.source = source;
    this.heardAt = Date.now();
    source.addEventListener('cluster', (event) => this.told('cluster', event));
    source.addEventListener('happened', (event) => this.told('happened', event));
    source.addEventListener('error', () => this.lost());
  }

  /** Listen no more. */
  stop() {
    this.wanted = this.resting = false;
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  /** Let go of the stream until this page is seen again. */
  rest() {
    if (!this.wanted) return;
    this.stop();
    this.resting = true;
  }

  wake() {
    if (!this.resting) return;
    this.start();
    this.dispatchEvent(new Event('woken'));
    this.ask().catch(() => {});
  }

  /** Who is logged in? */
  async ask() {
    const detail = await ask('GET', 'me', undefined, AbortSignal.timeout(SILENCE_MS));
    this.dispatchEvent(new CustomEvent('who', { detail }));
  }

  /** @param {string} name @param {MessageEvent} event */
  told(name, event) {
    const detail = JSON.parse(event.data);
    this.heardAt = Date.now();
    this.pause = PAUSE_MS.first;
    if (name === 'cluster') this.cluster = detail;
    this.state(true);
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** A connection may stand open to a node that stands still. */
  watch() {
    if (this.source !== null && Date.now() - this.heardAt > SILENCE_MS) this.lost();
  }

  async lost() {
    this.source?.close();
    this.source = null;
    if (!this.wanted) return;
    this.state(false);
    try {
      await this.ask();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        // Whoever answers it starts this again.
        this.stop();
        doorbell.dispatchEvent(new Event('expired'));
        return;
      }
    }
    if (!this.wanted) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.source === null && this.start(), this.pause);
    this.pause = Math.min(this.pause * 2, PAUSE_MS.most);
  }

  /** @param {boolean} heard */
  state(heard) {
    if (heard === this.heard) return;
    this.heard = heard;
    this.dispatchEvent(new CustomEvent('state', { detail: heard }));
  }
}
