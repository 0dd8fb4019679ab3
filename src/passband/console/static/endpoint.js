// How endpoints are, and what they answered, in one word.

import { h } from "/console/dom.js";

/** Returns an endpoint's health: failing, troubled, answers or unused. */
export function health(endpoint) {
  if (endpoint.failing) return "failing";
  if (!endpoint.last) return "unused";
  return isFine(endpoint.last) ? "answers" : "troubled";
}

const isFine = (attempt) => !attempt.error && attempt.status >= 200 && attempt.status <= 299;

/** Shows what an attempt was answered with: a status, or why there is none. */
export function answerOf(attempt) {
  return h("span", { class: `answer ${isFine(attempt) ? "fine" : "bad"}` }, attempt.error ? attempt.error : String(attempt.status));
}
