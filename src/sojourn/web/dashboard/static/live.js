// The live view: numbers, a line of the last minute, and one session as it grows. Nothing that comes from a
// client is ever more than text: it is put in place with textContent alone.
"use strict";

const page = document.getElementById("live");
const seconds = 60;
const rates = [];
let before = null;

const put = (id, text) => {
  document.getElementById(id).textContent = text;
};
const plain = (number) => number.toLocaleString("en", { maximumFractionDigits: number < 10 ? 1 : 0 });
const cell = (row, text, kind) => {
  const made = document.createElement("td");
  made.textContent = text;
  if (kind) made.className = kind;
  row.append(made);
  return made;
};

function said(now) {
  const at = performance.now();
  if (before !== null && now.events >= before.now.events) {
    const passed = (at - before.at) / 1000;
    const rate = (now.events - before.now.events) / passed;
    rates.push(rate);
    if (rates.length > seconds) rates.shift();
    put("events", plain(rate));
    put("messages", plain((now.messages - before.now.messages) / passed));
  }
  before = { now, at };
  put("open", plain(now.open));
  put("total", plain(now.events));
  put("waiting", plain(now.waiting));
  drawn();
  listed(now.sessions);
}

function drawn() {
  const most = Math.max(1, ...rates);
  const points = rates.map((rate, at) => `${600 - (rates.length - 1 - at) * 10},${96 - (rate / most) * 88}`);
  document.getElementById("line").setAttribute("points", points.join(" "));
  put("most", `${plain(Math.max(0, ...rates))} events a second at most in the last minute`);
}

function listed(sessions) {
  const body = document.getElementById("recent");
  const focused = document.activeElement?.dataset?.session;
  body.replaceChildren(
    ...sessions.map((session) => {
      const row = document.createElement("tr");
      const link = document.createElement("a");
      link.href = `/live?session=${encodeURIComponent(session.session_id)}`;
      link.textContent = session.session_id;
      link.dataset.session = session.session_id;
      cell(row, "").append(link);
      cell(row, session.status);
      cell(row, plain(session.events), "n");
      cell(row, plain(session.messages), "n");
      return row;
    }),
  );
  if (focused) body.querySelector(`[data-session="${CSS.escape(focused)}"]`)?.focus();
  document.getElementById("nobody").hidden = sessions.length > 0;
  document.getElementById("somebody").hidden = sessions.length === 0;
}

function grown(session) {
  if (session === null) {
    put("status", "This session was deleted.");
    document.getElementById("children").replaceChildren();
    return;
  }
  const open = session.end === null;
  put("status", `${open ? "Open" : "Ended"}, ${plain(session.events)} events`);
  put("start", new Date(session.start * 1000).toISOString());
  put("end", open ? "not yet" : new Date(session.end * 1000).toISOString());
  const hidden = session.events - session.children.length;
  put("hidden", hidden ? `The last ${session.children.length} events; ${plain(hidden)} came before.` : "");
  document.getElementById("children").replaceChildren(
    ...session.children.map((event) => {
      const { type, timestamp, name, ...more } = event;
      const item = document.createElement("li");
      const when = document.createElement("time");
      when.textContent = `+${plain(timestamp - session.start)} s`;
      const what = document.createElement("b");
      what.textContent = name;
      item.append(when, what);
      if (Object.keys(more).length) {
        const rest = document.createElement("code");
        rest.textContent = JSON.stringify(more);
        item.append(rest);
      }
      return item;
    }),
  );
}

function watched(address, take) {
  const source = new EventSource(address);
  source.onmessage = (event) => {
    put("connection", "");
    take(JSON.parse(event.data));
  };
  source.onerror = () => {
    const refused = source.readyState === EventSource.CLOSED; // as a session is that has not begun
    if (!refused || take === said) put("connection", "The service does not answer; trying again.");
    if (refused) setTimeout(() => watched(address, take), 2000);
  };
}

watched("/v1/live", said);
if (page.dataset.session) watched(`/v1/live/${encodeURIComponent(page.dataset.session)}`, grown);
