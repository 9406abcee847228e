"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const use = byId("use-keys");
  let sent = false;

  byId("keys").hidden = false;
  try { use.checked = localStorage.getItem("keys") !== "off"; } catch { /* storage is off */ }
  const show = () => byId("pair").classList.toggle("keyed", use.checked);
  show();
  use.addEventListener("change", () => {
    show();
    try { localStorage.setItem("keys", use.checked ? "on" : "off"); } catch { /* storage is off */ }
  });

  // One answer for each pair that is shown: a key pressed twice must not answer the next one unseen.
  document.addEventListener("submit", (event) => {
    if (sent) { event.preventDefault(); return; }
    sent = true;
    const busy = event.submitter?.dataset.busy;
    if (busy) { event.submitter.textContent = busy; }
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (!use.checked || typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = document.querySelector(`button[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (button) { event.preventDefault(); button.click(); }
  });

  // The pair is read out, and the keyboard is there, unless the page was opened at a place of its own.
  if (!location.hash) byId("pair").focus({ preventScroll: true });
})();
