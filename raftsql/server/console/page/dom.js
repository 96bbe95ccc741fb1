// @ts-check
/**
 * Builds elements. Text stays text: this is the only place that makes elements, and it parses no
 * markup, so whatever a table, a value or an error is called, the browser never interprets it.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Child | Child[]} Children */
/** @typedef {Record<string, any>} Attributes */

const SVG = 'http://www.w3.org/2000/svg';
/** Set as properties: as attributes they would only be the beginning. */
const PROPERTIES = new Set(['value', 'checked', 'disabled', 'hidden', 'open', 'tabIndex', 'readOnly']);

/**
 * An element; `on…` attributes are listeners, and those that are null or false are left out.
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...Children} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  fill(element, ...children);
  return element;
}

/**
 * An element of a drawing.
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...Children} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...nodes(children));
  return element;
}

/**
 * Replace what an element holds.
 * @param {Element} element
 * @param {...Children} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

/**
 * Change a text only if it is another: readers of the screen hear of changes alone.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {Children[]} children @returns {(Node | string)[]} */
function nodes(children) {
  return children
    .flat()
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/** Drawn here, 16 by 16, in the colour of the text beside them. */
const ICONS = {
  run: 'M4 2.5v11l9-5.5z',
  stop: 'M3.5 3.5h9v9h-9z',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M3 13l1.2-1.2M11.8 4.2 13 3',
  moon: 'M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1z',
  auto: 'M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12',
  help: 'M5.6 5.8a2.5 2.5 0 1 1 3.6 2.4c-.8.4-1.2.9-1.2 1.8M8 12.6v.1',
  leave: 'M6.5 2.5h-4v11h4M6 8h8M11 5l3 3-3 3',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.4 10.4 14 14',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  down: 'M8 2v8M4.5 7 8 10.5 11.5 7M3 13.5h10',
  election: 'M2.5 12.5h11M3 11 2 4.5l3.5 3L8 3l2.5 4.5L14 4.5 13 11z',
  membership: 'M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5c0-2.5 2-4 4.5-4s4.5 1.5 4.5 4M12.5 5v5M10 7.5h5',
  snapshot: 'M2.5 4.5h3l1-2h3l1 2h3v9h-11zM8 6.5a2.300 2.300 0 1 0 0 4.600 2.300 2.300 0 0 0 0-4.600z',
  alarm: 'M8 2 1.5 13.5h13zM8 6.5v3.5M8 12v.1',
  transfer: 'M2 5.5h10M9.5 3 12 5.5 9.5 8M14 10.5H4M6.5 8 4 10.5 6.5 13',
};

/**
 * A small drawing that says nothing by itself: the words are beside it, or in a label.
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const path = ICONS[/** @type {keyof typeof ICONS} */ (name)] ?? ICONS.help;
  return svg('svg', { viewBox: '0 0 16 16', class: `icon icon-${name}`, 'aria-hidden': 'true' },
    svg('path', { d: path }));
}
