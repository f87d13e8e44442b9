// A button with data-copy puts its text on the clipboard and says so.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button === null || !navigator.clipboard) {
    return;
  }
  await navigator.clipboard.writeText(button.dataset.copy);
  const label = button.getAttribute("aria-label");
  button.setAttribute("aria-label", "Copied");
  button.classList.add("copied");
  setTimeout(() => {
    button.setAttribute("aria-label", label);
    button.classList.remove("copied");
  }, 2000);
});
