// SPDX-License-Identifier: Apache-2.0
// Shows what a mapping gives while it is typed. Without it, a button does the same.
"use strict";

const form = document.querySelector("form[data-preview]");
const PAUSE_MILLISECONDS = 400;
let waiting = 0;
let newest = 0;

async function show() {
  const mine = ++newest;
  const answer = await fetch(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (!answer.headers.get("content-type").startsWith("text/html") || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine !== newest) return;
  for (const place of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(place.id);
    if (fresh) place.replaceChildren(...fresh.childNodes);
  }
}

if (form) {
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => show().catch(() => undefined), PAUSE_MILLISECONDS);
  });
}
