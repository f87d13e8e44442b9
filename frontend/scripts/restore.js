// The restore dialog: a changed option makes a new plan, and until it is there the old one cannot be
// applied. The password belongs to another form and never goes along.
import htmx from "htmx.org";

const WAIT_MS = 600;
let timer = 0;

document.addEventListener("change", (event) => {
  const form = event.target.form;
  // Asked by a selector: in a form with a field named "id", form.id is that field.
  if (!form?.matches("#restore-options[hx-post]")) {
    return;
  }
  for (const button of form.querySelectorAll("[data-apply]")) {
    button.disabled = true;
  }
  clearTimeout(timer);
  timer = setTimeout(() => form.isConnected && htmx.trigger(form, "replan"), WAIT_MS);
});

// Who chose something in the preview finds it in the next one; until that is there, the preview
// itself has the focus.
let held = null;

document.addEventListener("focusin", (event) => {
  if (event.target.id !== "preview") {
    const inside = event.target.closest("#preview") !== null;
    held = inside ? { name: event.target.name, value: event.target.value } : null;
  }
});

document.addEventListener("htmx:afterSwap", () => {
  const preview = document.getElementById("preview");
  if (held === null || preview === null) {
    return;
  }
  const again = [...preview.querySelectorAll("input")].find(
    (one) => one.type !== "hidden" && one.name === held.name && one.value === held.value,
  );
  (again ?? preview).focus({ preventScroll: true });
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, target } = event.detail;
  if (xhr.responseURL && new URL(xhr.responseURL).pathname === "/sign-in") {
    // The session has ended: sign in, and come back to this page.
    event.detail.shouldSwap = false;
    location.reload();
  } else if (target.id === "preview" && xhr.status >= 400 && xhr.status < 500) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});
