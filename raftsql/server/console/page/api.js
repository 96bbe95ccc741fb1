// @ts-check
/**
 * Asks the node that served this page. What it refuses is a `Refused`, with its own words; what
 * does not reach it is a `Gone`. An expired login is told to everybody who listens to `doorbell`.
 */

/** The node said no. */
export class Refused extends Error {
  /** @param {number} status @param {Record<string, any>} told */
  constructor(status, told) {
    super(String(told.message ?? `the node answered with status ${status}`));
    this.status = status;
    this.kind = String(told.kind ?? 'unknown');
    /** Code points, as the node counts. @type {number | null} */
    this.start = told.start ?? null;
    /** @type {number | null} */
    this.end = told.end ?? null;
    /** @type {string | null} */
    this.hint = told.hint ?? null;
  }
}

/** The node did not answer. */
export class Gone extends Error {}

/** Rings (`expired`) when a call finds that nobody is logged in any more. */
export const doorbell = new EventTarget();

/** A page of another origin can't set the first unless it is allowed to, and it is not. */
const HEADERS = { 'X-Raftsql-Console': '1', 'Content-Type': 'application/json' };

/** Ask for what is to be done although the page is left: nobody hears the answer. @param {string} path */
export function leaving(path) {
  fetch(`api/${path}`, { method: 'POST', headers: HEADERS, body: '{}', keepalive: true }).catch(() => {});
}

/**
 * Send a request, and have its answer while it still arrives.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
export async function send(method, path, body, signal) {
  let response;
  try {
    response = await fetch(`api/${path}`, {
      method,
      headers: method === 'GET' ? {} : HEADERS,
      body: method === 'POST' ? JSON.stringify(body ?? {}) : undefined,
      signal,
      cache: 'no-store',
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Gone('the node does not answer');
  }
  if (!response.ok) throw await refusal(response, path);
  return response;
}

/** @param {Response} response @param {string} path */
async function refusal(response, path) {
  let told = {};
  try {
    told = (await response.json()).error ?? {};
  } catch {
    // Not ours: a proxy's page, perhaps. Its status is all there is to say.
  }
  // Whoever asks for a login, or who they are, knows what to do with the answer.
  const own = path === 'login' || path === 'me';
  if (response.status === 401 && !own) doorbell.dispatchEvent(new Event('expired'));
  return new Refused(response.status, told);
}

/**
 * Ask, and read the whole answer.
 * @param {string} method @param {string} path @param {unknown} [body] @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function ask(method, path, body, signal) {
  const response = await send(method, path, body, signal);
  const text = await response.text();
  return text ? JSON.parse(text) : {};
}

/**
 * The lines of a streamed answer, each with its length. Leaving the loop ends the request.
 * @param {Response} response
 * @returns {AsyncGenerator<[any, number]>}
 */
export async function* lines(response) {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  /** Pieces of a line that has not ended. @type {string[]} */
  let begun = [];
  try {
    for (;;) {
      const { value, done } = await read(reader);
      if (done) break;
      const parts = value.split('\n');
      for (const part of parts.slice(0, -1)) {
        begun.push(part);
        const line = begun.join('');
        begun = [];
        if (line.trim()) yield [JSON.parse(line), line.length];
      }
      if (parts[parts.length - 1]) begun.push(parts[parts.length - 1]);
    }
    const rest = begun.join('');
    if (rest.trim()) yield [JSON.parse(rest), rest.length];
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @param {ReadableStreamDefaultReader<string>} reader @returns {Promise<any>} */
async function read(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Gone('the node went away in the middle of its answer');
  }
}

/** What can be said of anything that was thrown. @param {unknown} error */
export function words(error) {
  return error instanceof Error ? error.message : String(error);
}
