
"use strict";
(() => {
  const PAGE = 50;
  const byId = (id) => document.getElementById(id);
  const list = byId("cluster-list");

  for (const block of document.querySelectorAll(".commands pre")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-describedby", block.previousElementSibling.id);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(block);
        button.textContent = "Selected: copy it";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    block.after(button);
  }

  if (!list) return;
  const byDoubt = [...list.children];
  const bySize = [...byDoubt].sort((a, b) => a.dataset.place - b.dataset.place);
  const texts = new Map();
  const plain = (text) => text.normalize("NFC").toLowerCase();
  const textOf = (cluster) => {
    if (!texts.has(cluster)) {
      const parts = cluster.querySelectorAll("h3, .text, bdi");
      texts.set(cluster, plain([...parts].map((part) => part.textContent).join("\n")));
    }
    return texts.get(cluster);
  };
  let matching = byDoubt;
  let shown = PAGE;

  function show() {
    const visible = new Set(matching.slice(0, shown));
    for (const cluster of byDoubt) cluster.hidden = !visible.has(cluster);
    const count = matching.length.toLocaleString("en");
    const all = byDoubt.length.toLocaleString("en");
    byId("found").textContent = !matching.length ? `None of the ${all} clusters here matches.`
      : `${matching.length < byDoubt.length ? `${count} of ${all} clusters match` : `${all} clusters`}; ${visible.size.toLocaleString("en")} listed.`;
    const left = matching.length - visible.size;
    byId("more").hidden = left === 0;
    byId("more").textContent = `Show ${Math.min(left, PAGE).toLocaleString("en")} more`;
  }

  function filter() {
    const words = plain(byId("words").value).split(/\s+/).filter(Boolean);
    const size = Number(byId("size").value);
    const doubtful = byId("doubtful").checked;
    const ordered = byId("order").value === "size" ? bySize : byDoubt;
    matching = ordered.filter((cluster) =>
      Number(cluster.dataset.size) >= size &&
      (!doubtful || "doubtful" in cluster.dataset) &&
      words.every((word) => textOf(cluster).includes(word)));
    shown = PAGE;
    if (list.dataset.order !== byId("order").value) {
      list.append(...ordered);
      list.dataset.order = byId("order").value;
    }
    show();
  }

  let waiting;
  byId("words").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  for (const id of ["order", "size", "doubtful"]) byId(id).addEventListener("change", filter);
  byId("filters").addEventListener("submit", (event) => { event.preventDefault(); filter(); });
  byId("more").addEventListener("click", () => {
    const next = matching[shown];
    shown += PAGE;
    show();
    next.querySelector("summary").focus();
  });
  byId("filters").hidden = false;
  // What the browser kept of the fields when the page was loaded again counts.
  filter();
})();
