"use strict";
// Sends what a form says to this very server. The key is kept in the page's memory only: closing the tab forgets it.
const ANSWER_CHARACTERS_MAX = 1048576; // more than a person reads, and a browser still scrolls it

const key = document.getElementById("key");

function valueOf(form, place) {
  return [...form.querySelectorAll(`[data-in="${place}"]`)].filter((field) => field.value !== "");
}

function request(form) {
  let path = form.dataset.path;
  for (const field of valueOf(form, "path")) {
    path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
  }
  const query = new URLSearchParams(valueOf(form, "query").map((field) => [field.name, field.value])).toString();
  const headers = valueOf(form, "header").map((field) => [field.name, field.value]);
  const text = form.querySelector("textarea");
  const file = form.querySelector("input[type=file]");
  const type = form.querySelector("[data-role=type]");
  let body;
  if (file && file.files.length) {
    body = file.files[0];
    if (type.value === "multipart/form-data") {
      body = new FormData();
      body.append("file", file.files[0]);
    } else {
      headers.push(["Content-Type", type.value]);
    }
  } else if (text && text.value !== "") {
    body = text.value;
    headers.push(["Content-Type", type.value]);
  }
  return { method: form.dataset.method, url: path + (query ? `?${query}` : ""), headers, body };
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function curl(asked) {
  const parts = ["curl", "-X", asked.method];
  if (key.value) parts.push("-H", '"Authorization: Bearer $FLOW_API_KEY"');
  for (const [name, value] of asked.headers) parts.push("-H", quoted(`${name}: ${value}`));
  if (typeof asked.body === "string") parts.push("--data-raw", quoted(asked.body));
  else if (asked.body) parts.push("--data-binary", "@FILE");
  return [...parts, quoted(location.origin + asked.url)].join(" ");
}

function shown(text, type) {
  if (!type.includes("json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function read(answer, target) {
  const type = answer.headers.get("content-type") ?? "";
  const decoder = new TextDecoder();
  let text = "";
  if (!answer.body) return;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    if (type.includes("event-stream")) target.textContent = text;
    if (text.length > ANSWER_CHARACTERS_MAX) {
      await reader.cancel();
      text = `${text.slice(0, ANSWER_CHARACTERS_MAX)}\n… cut here`;
      break;
    }
  }
  target.textContent = shown(text, type);
}

async function send(form) {
  const asked = request(form);
  const result = form.querySelector(".result");
  const [command, status, headers, body] = ["curl", "status", "headers", "body"].map((name) => result.querySelector(`.${name}`));
  const stop = form.querySelector("[data-role=stop]");
  const aborter = new AbortController();
  result.hidden = stop.hidden = false;
  stop.onclick = () => aborter.abort();
  command.textContent = curl(asked);
  status.textContent = "sent, waiting …";
  headers.textContent = body.textContent = "";
  const startedAt = performance.now();
  try {
    const answer = await fetch(asked.url, {
      method: asked.method,
      headers: key.value ? [...asked.headers, ["Authorization", `Bearer ${key.value}`]] : asked.headers,
      body: asked.body,
      signal: aborter.signal,
      credentials: "omit",
      redirect: "error",
      cache: "no-store",
    });
    status.textContent = `${answer.status} ${answer.statusText}`;
    headers.textContent = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    await read(answer, body);
    status.textContent += `, ${Math.round(performance.now() - startedAt)} ms`;
  } catch (error) {
    status.textContent = aborter.signal.aborted ? "stopped" : `not answered: ${error.message}`;
  } finally {
    stop.hidden = true;
  }
}

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void send(form);
  });
}

document.getElementById("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const entry of document.querySelectorAll("nav li")) {
    const text = entry.textContent.toLowerCase();
    entry.hidden = !words.every((word) => text.includes(word));
  }
});
