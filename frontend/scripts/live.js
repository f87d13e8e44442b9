// What moves is shown as it moves. The parts of a page with data-live are taken anew from the same
// address, so that what is shown live is what anybody sees who loads the page.
const RETRY_MS = 3000;
const LEAST_MS = 1000;
const PATIENCE = 4; // a page that is slow to make is asked for less often

const wordsOf = (one) => one.getAttribute("aria-label") ?? one.textContent.trim();

/** Where something is: by its id, or by the words on it in its part of the page. */
function placeOf(one) {
  const part = one?.closest("[data-live]") ?? null;
  return part && { id: one.id, part: part.id, tag: one.tagName, words: wordsOf(one) };
}

/** Gives the focus to what stands there now; where that is gone, to the heading of the page. */
function focusAgain({ id, part, tag, words }) {
  const inside = [...(document.getElementById(part)?.querySelectorAll(tag) ?? [])];
  const found = (id && document.getElementById(id)) || inside.find((one) => wordsOf(one) === words);
  const heading = document.querySelector("main h1");
  heading?.setAttribute("tabindex", "-1");
  (found ?? heading)?.focus({ preventScroll: true });
}

function replaceParts(fresh) {
  const active = placeOf(document.activeElement);
  const open = [...document.querySelectorAll("[data-live] details[id]")].map((one) => [
    one.id,
    one.open,
  ]);
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next !== null && next.outerHTML !== part.outerHTML) {
      part.replaceWith(document.importNode(next, true));
    }
  }
  for (const [id, isOpen] of open) {
    const one = document.getElementById(id);
    if (one !== null) {
      one.open = isOpen;
    }
  }
  if (active !== null && document.activeElement === document.body) {
    focusAgain(active);
  }
}

/** Takes the page anew; returns the new document, or null when the server could not be asked. */
async function refresh() {
  let answer;
  try {
    answer = await fetch(location.href, { credentials: "same-origin" });
  } catch {
    return null;
  }
  if (answer.redirected) {
    location.assign(answer.url);
    return null;
  }
  if (!answer.ok) {
    return null;
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  replaceParts(fresh);
  return fresh;
}

let said = "";
function say(words) {
  said = words;
  const state = document.querySelector("[data-live-state]");
  if (state !== null && state.textContent !== words) {
    state.textContent = words;
  }
}

function watch(marker) {
  let source = null;
  let wanted = false;
  let busy = false;

  async function show() {
    wanted = true;
    if (busy) {
      return;
    }
    busy = true;
    while (wanted) {
      wanted = false;
      const began = performance.now();
      const fresh = await refresh();
      say(fresh === null ? "Reconnecting…" : said);
      if (fresh !== null && fresh.querySelector("[data-job-events]") === null) {
        source.close();
        marker.remove();
        break;
      }
      wanted ||= fresh === null;
      const took = performance.now() - began;
      await new Promise((done) => setTimeout(done, Math.max(LEAST_MS, PATIENCE * took)));
    }
    busy = false;
  }

  function connect() {
    source = new EventSource(marker.dataset.jobEvents);
    source.addEventListener("open", () => say("Live"));
    source.addEventListener("job", show);
    source.addEventListener("error", () => {
      say("Reconnecting…");
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(() => {
          if (marker.isConnected) {
            connect();
            show();
          }
        }, RETRY_MS);
      }
    });
  }
  connect();
}

function again() {
  const part = document.querySelector("[data-live-again]");
  if (part === null) {
    return;
  }
  setTimeout(async () => {
    if (!document.hidden) {
      await refresh();
    }
    again();
  }, Number(part.dataset.liveAgain) * 1000);
}

document.addEventListener("DOMContentLoaded", () => {
  const marker = document.querySelector("[data-job-events]");
  if (marker !== null) {
    watch(marker);
  }
  again();
});
