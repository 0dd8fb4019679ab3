// The admin API, and the live stream of it.

/** Calls the admin API; throws an Error with what it says is wrong. */
async function call(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the node does not answer");
  }
  const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.description ?? `the node answered ${response.status}`);
  return answer;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

/** Returns a query of what is not empty. */
export function query(values) {
  const filled = Object.entries(values).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  return filled.length ? `?${new URLSearchParams(filled)}` : "";
}

const told = new EventTarget();

/** Calls back with "live", "lost" or "idle" whenever the state of the stream changes. */
export function onLink(callback) {
  told.addEventListener("link", (event) => callback(event.detail));
}

const tellLink = (state) => told.dispatchEvent(new CustomEvent("link", { detail: state }));

/**
 * Follows the live stream from a cursor on. Handlers are by topic; "reset" is called when what was missed is not known
 * any more and everything must be asked anew. Returns a function that ends it.
 */
export function follow(cursor, handlers) {
  const topics = Object.keys(handlers).filter((topic) => topic !== "reset");
  let source;
  let again;
  let last = cursor;
  const open = () => {
    source = new EventSource(`/admin/live${query({ after: last, topics: topics.join(",") })}`);
    source.onopen = () => tellLink("live");
    source.onerror = () => {
      tellLink("lost");
      // The browser tries again by itself after a break, but gives up for good after an answer that is an error.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 1000);
    };
    for (const topic of [...topics, "reset"]) {
      source.addEventListener(topic, (event) => {
        last = event.lastEventId || last;
        handlers[topic]?.(JSON.parse(event.data));
      });
    }
  };
  open();
  return () => {
    clearTimeout(again);
    source.close();
  };
}
