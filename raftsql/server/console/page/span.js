// @ts-check
/** The time that drawings show: what this page has seen, from half a minute up to five. */

const LEAST_MS = 30_000;
const MOST_MS = 5 * 60_000;

/** @type {number | null} */
let began = null;

/** How long the drawings' time is now. */
export function span() {
  began ??= Date.now();
  return Math.min(Math.max(Date.now() - began, LEAST_MS), MOST_MS);
}

/** Longer ago than this nothing is drawn. */
export const KEPT_MS = MOST_MS;
/** Samples come once a second; after more than this between two, nobody knows what was. */
export const GAP_MS = 4000;

/** What to write at equal steps under a drawing, the oldest first. */
export function ticks() {
  const all = span();
  const text = (/** @type {number} */ ms) =>
    ms >= 120_000 ? `${(ms / 60_000).toFixed(ms % 60_000 > 3000 ? 1 : 0)} min` : `${Math.round(ms / 1000)} s`;
  return [1, 0.75, 0.5, 0.25].map((part) => `${text(part * all)} ago`).concat('now');
}
