// On a narrow screen the navigation is one line: the page that is shown is brought into its sight.
const bar = document.querySelector(".nav");
const shown = bar?.querySelector('[aria-current="page"]');
if (shown && bar.scrollWidth > bar.clientWidth) {
  bar.scrollLeft = shown.offsetLeft - (bar.clientWidth - shown.offsetWidth) / 2;
}

// Menus are <details>: opened by the browser, closed by Escape and by a click elsewhere.
function close(menu) {
  menu.open = false;
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) {
      close(menu);
    }
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") {
    return;
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    close(menu);
    menu.querySelector("summary").focus();
  }
});
