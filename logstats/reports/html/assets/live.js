"use strict";
// The page that is served. Events say that there is something new; then the view is fetched and put in place of the old.
// All addresses are relative, so that the page may lie below any path of a proxy.

const place = document.getElementById("view");
const state = document.getElementById("state");
const SILENT = 20; // seconds without an event, after which the connection is taken for lost
let stream = null;
let heard = 0; // when the last event came, in ms
let lost = false;
let fetching = null; // what stops the fetch that is under way
let again = false; // something new came meanwhile
let tag = ""; // of what is shown
let pressed = false; // a mouse button is down: nothing moves under it

// ---------------------------------------------------------------- the view

// Make the children of one element those of another, and keep what can stay: focus, scrolling, charts, sorted tables.
// What this page's own script has put in (data-own, the charts) is not touched.
function morph(old, next) {
  const own = (node) => node.nodeType === 1 && "own" in node.dataset;
  const byId = new Map([...next.children].filter((child) => child.id).map((child) => [child.id, child]));
  for (const child of [...old.childNodes]) {
    if (child.nodeType !== 1 || (child.id && !byId.has(child.id) && !own(child))) {
      if (!own(child)) child.remove();
    }
  }
  let at = old.firstChild;
  const skip = () => {
    while (at && own(at)) at = at.nextSibling;
  };
  for (const child of [...next.childNodes]) {
    if (child.nodeType !== 1) {
      skip();
      old.insertBefore(child, at);
      continue;
    }
    skip();
    let same = child.id ? [...old.children].find((one) => one.id === child.id) : at;
    if (same && !child.id && (same.nodeType !== 1 || same.id || same.tagName !== child.tagName)) same = null;
    if (!same) {
      old.insertBefore(child, at);
      continue;
    }
    if (same !== at) old.insertBefore(same, at);
    else at = at.nextSibling;
    change(same, child);
  }
  while (at) {
    const rest = at;
    at = at.nextSibling;
    if (!own(rest)) rest.remove();
  }
}

function change(old, next) {
  if (old.tagName !== next.tagName) {
    old.replaceWith(next);
    return;
  }
  if (old.matches(".live")) return;
  if (old.tagName === "THEAD") {
    const words = (head) => [...head.querySelectorAll("th")].map((cell) => cell.textContent).join("\n");
    if (words(old) === words(next)) return;
    old.closest("table").replaceWith(next.closest("table").cloneNode(true)); // other columns: sorted anew
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !(old.tagName === "DETAILS" && name === "open")) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (!next.children.length && !old.children.length) {
    if (old.textContent !== next.textContent) old.textContent = next.textContent;
  } else {
    morph(old, next);
  }
}

async function refresh() {
  if (document.hidden || pressed) {
    again = true;
    return;
  }
  if (fetching) {
    again = true;
    return;
  }
  again = false;
  fetching = new AbortController();
  const stop = fetching;
  try {
    const answer = await fetch(`panels${location.search}`, {
      signal: stop.signal,
      headers: tag ? { "If-None-Match": tag } : {},
      cache: "no-store",
    });
    if (answer.status === 200) {
      const text = await answer.text();
      const next = document.createElement("div");
      next.append(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
      if (!stop.signal.aborted) {
        tag = answer.headers.get("ETag") || "";
        morph(place, next);
        enhance();
        show();
        document.title = `${document.querySelector("h1").textContent}, ${document.querySelector(".period").textContent}`;
        say("problem", "");
      }
    } else if (answer.status !== 304) {
      say("problem", (await answer.text()).trim().split("\n")[0].slice(0, 300) || `answer ${answer.status}`);
      tag = "";
    }
  } catch (error) {
    if (!stop.signal.aborted && error.name !== "TypeError") throw error; // a TypeError is a network that is gone
  } finally {
    if (fetching === stop) fetching = null;
    place.classList.toggle("loading", fetching !== null);
    if (again && !fetching) refresh();
  }
}

// Look at something else. What is shown stays until the answer is there.
function go(search, push) {
  if (push) history.pushState(null, "", search || location.pathname);
  fetching?.abort();
  fetching = null;
  tag = "";
  place.classList.add("loading");
  refresh();
}

place.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='?']");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.getAttribute("href"), true);
});
addEventListener("popstate", () => go(location.search, false));
addEventListener("mousedown", () => (pressed = true));
for (const name of ["mouseup", "blur", "dragend"]) {
  addEventListener(name, () => {
    pressed = false;
    if (again) refresh();
  });
}
document.addEventListener("visibilitychange", () => !document.hidden && refresh());

// A zoom on a chart: of whole minutes, since that is what figures are held by.
hooks.zoomed = (min, max, whole) => {
  if (whole) {
    document.getElementById("unzoom")?.click();
    return;
  }
  const query = new URLSearchParams(location.search);
  const time = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16) + "Z";
  query.delete("range");
  query.set("since", time(Math.floor(min / 60) * 60));
  query.set("until", time(Math.max(Math.ceil(max / 60), Math.floor(min / 60) + 1) * 60));
  go(`?${query}`, true);
};

// ---------------------------------------------------------------- the connection

const part = (name) => state.querySelector(`.${name}`);

function say(name, text) {
  const found = part(name);
  if (found.textContent !== text) found.textContent = text;
}

function figures(now) {
  if (!now.time) return now.archive ? `archive, commit ${number.format(now.archive.commit)}` : "no line has come yet";
  const rate = now.requests_per_second["1m"];
  const shown = rate >= 10 ? number.format(Math.round(rate)) : rate.toFixed(1);
  const lag = Math.max(0, now.lag_seconds);
  const age = lag < 120 ? `${lag.toFixed(0)} s` : lag < 7200 ? `${(lag / 60).toFixed(0)} min` : `${number.format(Math.round(lag / 3600))} h`;
  return `${shown} requests/s in the last minute · newest line ${age} ago · ${number.format(now.lines)} lines read`;
}

function connected(on) {
  lost = !on;
  state.classList.toggle("lost", lost);
  if (on) say("link", "● live");
}

function listen() {
  stream?.close();
  stream = new EventSource("api/events");
  heard = Date.now();
  const alive = () => {
    heard = Date.now();
    if (lost || !part("link").textContent) connected(true);
  };
  stream.addEventListener("ping", alive); // where an interval is long
  stream.addEventListener("snapshot", (event) => {
    alive();
    say("now", figures(JSON.parse(event.data)));
    refresh();
  });
  stream.addEventListener("error", () => {
    connected(false);
    // The browser tries again itself after a broken connection, but not after an answer such as 502.
    if (stream.readyState === EventSource.CLOSED) heard = Math.min(heard, Date.now() - (SILENT - 3) * 1000);
  });
}

setInterval(() => {
  const silent = (Date.now() - heard) / 1000;
  if (lost || silent > SILENT) {
    connected(false);
    say("link", "○ connection lost: these are the last figures; trying again");
  }
  if (silent > SILENT) listen();
}, 1000);

listen();
