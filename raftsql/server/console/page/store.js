// @ts-check
/** What this browser keeps. Where it may keep nothing, the page works and forgets. */

/**
 * @template T
 * @param {string} name
 * @param {T} otherwise
 * @returns {T}
 */
export function recall(name, otherwise) {
  try {
    const kept = localStorage.getItem(`raftsql.${name}`);
    return kept === null ? otherwise : JSON.parse(kept);
  } catch {
    return otherwise;
  }
}

/** @param {string} name @param {unknown} value */
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(`raftsql.${name}`);
    else localStorage.setItem(`raftsql.${name}`, JSON.stringify(value));
  } catch {
    // Full or forbidden.
  }
}
