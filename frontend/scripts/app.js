// What pages do in the browser beyond what the browser does by itself.
import "@fluentui/web-components/divider.js";
import "@fluentui/web-components/spinner.js";
import "htmx.org";

import "./preferences.js";
import "./menus.js";
import "./dialogs.js";
import "./forms.js";
import "./gate.js";
import "./restore.js";
import "./selection.js";
import "./live.js";
import "./copying.js";
