// The reader's time zone and theme, told to the server so that pages arrive as they should look.
const YEAR_SECONDS = 31536000;

function remember(name, value) {
  const secure = location.protocol === "https:" ? ";secure" : "";
  document.cookie = `${name}=${encodeURIComponent(value)};path=/;max-age=${YEAR_SECONDS};samesite=lax${secure}`;
}

function remembered(name) {
  const found = document.cookie.split("; ").find((part) => part.startsWith(`${name}=`));
  return found === undefined ? "" : decodeURIComponent(found.slice(name.length + 1));
}

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
if (remembered("reentra_zone") !== zone) {
  remember("reentra_zone", zone);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-theme-choice]");
  if (button === null) {
    return;
  }
  const theme = button.dataset.themeChoice;
  remember("reentra_theme", theme);
  if (theme === "system") {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = theme;
  }
  for (const other of document.querySelectorAll("[data-theme-choice]")) {
    other.setAttribute("aria-pressed", String(other === button));
  }
});
