// Every twenty seconds the page is asked for again and its content put in place. Without script it stands still.
"use strict";
setInterval(async () => {
  const main = document.getElementById("main");
  if (document.hidden || main.contains(document.activeElement) && document.activeElement !== main) return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    if (fresh && fresh.innerHTML !== main.innerHTML) main.replaceChildren(...fresh.childNodes);
  } catch (error) { /* the server is away; the next try may find it */ }
}, 20000);
