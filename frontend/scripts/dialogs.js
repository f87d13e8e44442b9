// A link or form with data-dialog opens what it leads to in a dialog over the page. The server is
// asked for the inside alone; without this script the same address is a page of its own.
import htmx from "htmx.org";

const HEADER = { "X-Dialog": "1" };
const FIELDS = "input:not([type=hidden]):not(:disabled), select:not(:disabled), textarea:not(:disabled)";

function ensureDialog() {
  let dialog = document.getElementById("dialog");
  if (dialog === null) {
    dialog = document.createElement("dialog");
    dialog.id = "dialog";
    dialog.className = "dialog";
    document.body.append(dialog);
    dialog.addEventListener("close", () => dialog.replaceChildren());
  }
  return dialog;
}

/** What is asked comes first; where nothing is asked, what is told. */
function focusFirst(dialog) {
  const fields = [...dialog.querySelectorAll(FIELDS)];
  const first = dialog.querySelector("[autofocus]") ?? fields.find((one) => one.checkVisibility());
  const heading = dialog.querySelector("h1");
  heading?.setAttribute("tabindex", "-1");
  (first ?? heading)?.focus();
}

async function show(address, options) {
  const answer = await fetch(address, { credentials: "same-origin", ...options });
  if (answer.redirected && !answer.headers.get("x-dialog")) {
    location.assign(answer.url);
    return;
  }
  const dialog = ensureDialog();
  dialog.innerHTML = await answer.text();
  const title = dialog.querySelector("h1")?.textContent.trim();
  if (title) {
    dialog.setAttribute("aria-label", title);
  }
  htmx.process(dialog);
  if (!dialog.open) {
    dialog.showModal();
  }
  focusFirst(dialog);
  document.dispatchEvent(new CustomEvent("reentra:dialog", { detail: dialog }));
}

document.addEventListener("click", (event) => {
  const closer = event.target.closest("[data-close]");
  if (closer !== null) {
    const dialog = closer.closest("dialog");
    if (dialog !== null) {
      event.preventDefault();
      dialog.close();
    }
    return;
  }
  const link = event.target.closest("a[data-dialog]");
  if (link === null || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) {
    return;
  }
  event.preventDefault();
  show(link.href, { headers: HEADER });
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-dialog]") || event.defaultPrevented) {
    return;
  }
  event.preventDefault();
  const data = new URLSearchParams(new FormData(form, event.submitter));
  const address = event.submitter?.getAttribute("formaction") ?? form.action;
  if (form.method === "get") {
    show(`${address.split("?")[0]}?${data}`, { headers: HEADER });
  } else {
    show(address, { method: "POST", headers: HEADER, body: data });
  }
});
