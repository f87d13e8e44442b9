// What follows the # of a set-up link is a secret that no server's log should see: it goes into the
// form here, and out of the address. And a button that copies what is shown once.
for (const field of document.querySelectorAll("input[data-from-fragment]")) {
  if (location.hash.length > 1) {
    field.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname);
  }
  if (field.value !== "") {
    field.closest("[data-fragment-field]").hidden = true;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button === null) {
    return;
  }
  const shown = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(shown.textContent.trim());
    button.querySelector("[data-said]").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(shown);
    button.querySelector("[data-said]").textContent = "Press Ctrl+C";
  }
});
