// What is selected in lists, over paging and navigation: kept per tenant for as long as the tab is
// open, shown in a bar with what can be done with it. The server is asked only when one does it.
const tenant = document.body.dataset.tenant;
const KEY = `reentra-selection:${tenant}`;
const MOST_NAMES = 200;

let chosen = new Map(); // "snapshot ref" -> { snapshot, ref, name }
let bar = null;

function load() {
  try {
    chosen = new Map(JSON.parse(sessionStorage.getItem(KEY) ?? "[]"));
  } catch {
    chosen = new Map();
  }
}

function save() {
  try {
    sessionStorage.setItem(KEY, JSON.stringify([...chosen]));
  } catch {
    // Without storage the selection lasts as long as the page.
  }
}

const keyOf = (box) => `${box.dataset.snapshot} ${box.dataset.ref}`;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function snapshots() {
  return [...new Set([...chosen.values()].map((item) => item.snapshot))];
}

/** Marks the boxes of the page as they are in the selection. */
function mark() {
  const boxes = [...document.querySelectorAll("input[data-select]")];
  for (const box of boxes) {
    box.checked = chosen.has(keyOf(box));
  }
  for (const all of document.querySelectorAll("input[data-select-all]")) {
    const own = [...(all.closest("table") ?? document).querySelectorAll("input[data-select]:not(:disabled)")];
    const count = own.filter((box) => box.checked).length;
    all.checked = own.length > 0 && count === own.length;
    all.indeterminate = count > 0 && count < own.length;
  }
}

function send(address) {
  const token = document.querySelector("input[name=csrf_token]")?.value ?? "";
  const form = make("form", { method: "post", action: address, hidden: true });
  form.dataset.dialog = "";
  const add = (name, value) => form.append(make("input", { type: "hidden", name, value }));
  add("csrf_token", token);
  add("picked", "1");
  for (const snapshot of snapshots()) {
    add("snapshot", snapshot);
  }
  for (const item of chosen.values()) {
    add(item.ref.includes("/") ? "id" : "kind", item.ref);
  }
  document.body.append(form);
  form.requestSubmit();
  form.remove();
}

function action(word, address, forbidden) {
  const button = make("button", { type: "button", className: "button", textContent: word });
  const why = forbidden ?? (snapshots().length > 1 ? "The selection is from different snapshots." : "");
  if (why) {
    button.disabled = true;
    button.title = why;
  } else {
    button.addEventListener("click", () => send(address));
  }
  return button;
}

/** Gives the focus to something; where it is gone, to the heading of the page. */
function focus(one) {
  const heading = document.querySelector("main h1");
  heading?.setAttribute("tabindex", "-1");
  (one ?? heading)?.focus();
}

function names() {
  const list = make("ul", { className: "names" });
  for (const [key, item] of [...chosen].slice(0, MOST_NAMES)) {
    const remove = make("button", { type: "button", className: "button subtle", textContent: "Remove" });
    remove.setAttribute("aria-label", `Remove ${item.name}`);
    remove.addEventListener("click", () => {
      const place = [...list.children].indexOf(remove.closest("li"));
      chosen.delete(key);
      change();
      const left = bar?.querySelectorAll(".names button") ?? [];
      focus(left[Math.min(place, left.length - 1)]);
    });
    const name = make("span", { className: "clip", textContent: item.name, title: `${item.ref}, ${item.snapshot}` });
    list.append(make("li", {}, name, remove));
  }
  if (chosen.size > MOST_NAMES) {
    list.append(make("li", { textContent: `and ${(chosen.size - MOST_NAMES).toLocaleString("en")} more` }));
  }
  return list;
}

/** Pages that restore or download something of their own show no second button for that. */
const isHidden = document.querySelector(".main [data-hides-selection]") !== null;

function show() {
  if (chosen.size === 0 || isHidden) {
    bar?.remove();
    bar = null;
    return;
  }
  const isOpen = bar?.querySelector("details")?.open ?? false;
  if (bar === null) {
    bar = make("section", { className: "chosen-bar" });
    bar.setAttribute("aria-label", "Selection");
    document.body.append(bar);
  }
  const { noRestore, noDownload } = document.body.dataset;
  const root = `/tenants/${encodeURIComponent(tenant)}`;
  const count = make("summary", { textContent: `${chosen.size.toLocaleString("en")} selected` });
  const details = make("details", { open: isOpen }, count, names());
  const clear = make("button", { type: "button", className: "button subtle", textContent: "Clear" });
  clear.addEventListener("click", () => {
    chosen.clear();
    change();
    focus(document.querySelector(".main input[data-select]:not(:disabled)"));
  });
  const restore = action("Restore", `${root}/restore`, noRestore);
  if (!restore.disabled) {
    restore.classList.add("primary");
  }
  const parts = [details, make("span", { className: "buttons" }, restore, action("Download", `${root}/download`, noDownload), clear)];
  const several = snapshots().length;
  if (several > 1) {
    const why = `The selection is from ${several} snapshots. Restore and download take one: remove some, or clear it.`;
    parts.push(make("p", { className: "why", textContent: why }));
  } else if (noRestore) {
    parts.push(make("p", { className: "why", textContent: noRestore }));
  }
  const said = make("p", { className: "unseen", textContent: `${chosen.size} selected` });
  said.setAttribute("role", "status");
  bar.replaceChildren(...parts, said);
}

function change() {
  save();
  mark();
  show();
}

function choose(box) {
  if (box.checked) {
    const { snapshot, ref, name } = box.dataset;
    chosen.set(keyOf(box), { snapshot, ref, name: name || ref });
  } else {
    chosen.delete(keyOf(box));
  }
}

if (tenant) {
  load();
  change();
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("input[data-select]")) {
      choose(box);
    } else if (box.matches("input[data-select-all]")) {
      for (const one of (box.closest("table") ?? document).querySelectorAll("input[data-select]:not(:disabled)")) {
        one.checked = box.checked;
        choose(one);
      }
    } else {
      return;
    }
    change();
  });
  document.addEventListener("submit", (event) => {
    if (!event.defaultPrevented && event.target.hasAttribute("data-clears-selection")) {
      chosen.clear();
      save();
    }
  });
  document.addEventListener("htmx:afterSettle", mark);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) {
      load();
      mark();
      show();
    }
  });
}
