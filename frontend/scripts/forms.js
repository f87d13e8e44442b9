// A form that was sent is not sent again by a second click; it can be once the page is shown anew.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("data-dialog")) {
    return;
  }
  if (form.dataset.sent === "yes") {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  for (const element of form.elements) {
    if (element.matches("button") && element.type === "submit") {
      element.setAttribute("aria-disabled", "true");
    }
  }
});

window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const element of form.elements) {
      element.removeAttribute("aria-disabled");
    }
  }
});

// A choice that takes effect at once, such as the snapshot to look at. The arrow keys walk through
// the options, each a change of its own: what they chose takes effect with Enter, or when one leaves.
const CHOICES = "[data-submit-on-change]";
const FOCUS = "reentra-focus";
const WALKING = new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown"]);
let isWalking = false;
let chosen = null;

function take(choice) {
  chosen = null;
  if (choice.id !== "" && choice.matches(":focus")) {
    sessionStorage.setItem(FOCUS, choice.id);
  }
  choice.form.requestSubmit();
}

document.addEventListener("keydown", (event) => {
  const choice = event.target;
  if (!choice.matches(`select${CHOICES}`)) {
    return;
  }
  isWalking = !event.altKey && (WALKING.has(event.key) || /^\S$/.test(event.key));
  if (event.key === "Enter" && choice === chosen) {
    event.preventDefault();
    take(choice);
  }
});

document.addEventListener("pointerdown", () => {
  isWalking = false;
});

document.addEventListener("change", (event) => {
  const choice = event.target;
  if (!choice.matches(CHOICES)) {
    return;
  }
  if (choice.tagName === "SELECT" && isWalking) {
    chosen = choice;
  } else {
    take(choice);
  }
});

document.addEventListener("focusout", (event) => {
  if (event.target === chosen) {
    take(event.target);
  }
});

// The page that a choice leads to has the focus where it was.
document.getElementById(sessionStorage.getItem(FOCUS) ?? "")?.focus({ preventScroll: true });
sessionStorage.removeItem(FOCUS);
