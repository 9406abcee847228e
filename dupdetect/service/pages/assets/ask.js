"use strict";
(() => {
  const WAIT = 200; // milliseconds without a key
  const byId = (id) => document.getElementById(id);
  const [form, field, matches, said] = ["ask", "text", "matches", "said"].map(byId);
  let waiting, asked;

  async function find() {
    clearTimeout(waiting);
    asked?.abort();
    const text = field.value;
    if (!text.trim()) {
      matches.replaceChildren();
      said.textContent = "";
      return;
    }
    const mine = asked = new AbortController();
    matches.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch("/", {
        method: "POST", headers: { "X-Fragment": "matches" }, body: new URLSearchParams({ text }), signal: mine.signal,
      });
      const kind = answer.headers.get("Content-Type") ?? "";
      if (!kind.startsWith("text/html")) throw new Error((await answer.json()).detail);
      matches.innerHTML = await answer.text();
      said.textContent = matches.querySelector(".status")?.textContent ?? "";
    } catch (error) {
      if (error.name === "AbortError") return;
      const line = document.createElement("p");
      line.className = "wrong";
      line.textContent = error.name === "TypeError" ? "The service does not answer. Is it still running?" : error.message;
      matches.replaceChildren(line);
      said.textContent = line.textContent;
    }
    if (mine === asked) matches.removeAttribute("aria-busy");
  }

  field.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(find, WAIT); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); find(); }
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); find(); });
  // What the browser kept of the field when the page was loaded again.
  window.addEventListener("pageshow", () => { if (field.value.trim() && !matches.querySelector(".status")) find(); });
})();
