"use strict";
// The server draws the whole page; this keeps it up to date.
(() => {
  const every = 1000; // ms
  const live = document.getElementById("live");
  const button = document.getElementById("pause");
  let paused = false;
  let updated = new Date();

  // patch makes one node equal to another. It changes only the differences, so that the focus, a selection and open details stay.
  function patch(from, to) {
    if (from.isEqualNode(to) || from.id === "control") return;
    if (from.nodeName !== to.nodeName) return from.replaceWith(to.cloneNode(true));
    if (from.nodeType !== Node.ELEMENT_NODE) return void (from.nodeValue = to.nodeValue);
    for (const a of [...from.attributes]) if (!to.hasAttribute(a.name) && a.name !== "open") from.removeAttribute(a.name);
    for (const a of to.attributes) if (from.getAttribute(a.name) !== a.value) from.setAttribute(a.name, a.value);
    const before = [...from.childNodes], after = [...to.childNodes];
    before.forEach((child, i) => i < after.length ? patch(child, after[i]) : child.remove());
    for (const child of after.slice(before.length)) from.append(child.cloneNode(true));
  }

  function say(text, stale) {
    if (live.textContent !== text) live.textContent = text;
    live.className = stale ? "stale" : "";
  }

  async function update() {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (!answer.ok && answer.status !== 404) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (paused) return;
      document.title = fresh.title;
      patch(document.querySelector("link[rel=icon]"), fresh.querySelector("link[rel=icon]"));
      patch(document.body, fresh.body);
      updated = new Date();
      say("Live", false);
    } catch {
      say(`Not updated since ${updated.toLocaleTimeString()}: the program does not answer`, true);
    }
  }

  async function loop() {
    await update();
    setTimeout(loop, every);
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Resume" : "Pause";
    say(paused ? `Paused at ${updated.toLocaleTimeString()}` : "Live", false);
    update();
  });
  document.addEventListener("visibilitychange", update);
  setTimeout(loop, every);
})();
