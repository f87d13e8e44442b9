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

// A choice that takes effect at once, such as the snapshot to look at.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit-on-change]")) {
    event.target.form.requestSubmit();
  }
});
