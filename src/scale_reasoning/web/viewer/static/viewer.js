// The slider of "what if", the keys j and k, and updates of the pages of a run in progress, times. Everything else works without this file.
"use strict";

const MOST_SECONDS = 60;
let loaded = document.querySelector("main")?.innerHTML;

function slide() {
  const section = document.querySelector("[data-whatif]");
  if (!section) return;
  const slider = section.querySelector("input[type=range]");
  section.querySelector(".slider").hidden = false;
  const show = () => {
    section.querySelector("#number-value").textContent = Number(slider.value).toFixed(2);
    if (section.dataset.whatif === "attempt") showAttempt(section, Number(slider.value));
    else showRun(section, Number(slider.value));
  };
  slider.addEventListener("input", show);
  if (section.dataset.table) section.whatif = JSON.parse(section.dataset.table);
  else if (section.dataset.source) lookUp(section, show);
  show();
}

// An attempt: the range that contains the value. Of its ends, the one that `closed` names belongs to it.
function showAttempt(section, value) {
  const ranges = JSON.parse(section.dataset.ranges);
  const before = (value, one) => one.high === null || value < one.high || (one.closed === "high" && value === one.high);
  const here = ranges.findIndex((one) => one.first <= value && before(value, one));
  section.querySelector("#whatif-said").textContent = ranges[here].text;
  section.querySelectorAll("tbody tr").forEach((row, number) => row.classList.toggle("chosen", number === here));
}

// A run: the share of the recorded difficulties if it is the threshold, and apart from it what the journal has.
function showRun(section, value) {
  if (section.dataset.difficulties) showShare(section, value);
  const table = section.whatif;
  if (!table) return say(section, "whatif-exact", "Looking up the attempts in the journal…");
  if (table.error) return say(section, "whatif-exact", `The journal cannot be read: ${table.error}`);
  const row = table.rows.filter((each) => each[section.dataset.option] <= value + 1e-9).pop();
  const looked = table.done < table.planned
    ? `Looked up so far: ${table.done.toLocaleString("en")} of ${table.planned.toLocaleString("en")} attempts. ` : "";
  say(section, "whatif-exact", `${looked}At ${section.dataset.symbol} ${value.toFixed(2)}: ${row.text}`);
}

function showShare(section, tau) {
  const counts = Object.entries(JSON.parse(section.dataset.difficulties)), own = Number(section.dataset.value);
  const count = (over) => counts.reduce((sum, [difficulty, times]) => sum + (Number(difficulty) > over ? times : 0), 0);
  const all = count(-1);
  if (!all) return say(section, "whatif-share", "No difficulty was recorded.");
  const here = `${count(tau)} of the ${all.toLocaleString("en")} recorded difficulties are above τ ${tau.toFixed(2)}`;
  say(section, "whatif-share", Math.abs(tau - own) < 0.005
    ? `${here}, the run's own.`
    : `${here}; ${count(own)} are above the run's own ${own.toFixed(2)}. This is no run at τ ${tau.toFixed(2)}: `
      + "after a step in another mode, later steps see another solution and may be assessed differently.");
}

async function lookUp(section, show) {
  for (;;) {
    const response = await fetch(section.dataset.source);
    if (!response.ok) return;
    section.whatif = await response.json();
    show();
    if (section.whatif.error || section.whatif.done >= section.whatif.planned || !section.isConnected) return;
    await pause(0.7);
  }
}

function say(section, id, text) {
  section.querySelector(`#${id}`).textContent = text;
}

// A run in progress: loads the page again when it has changed, after as many seconds as the page says; what was open
// stays open, slider and focus stay. Where the server does not answer, the page says so and asks less often.
async function watch() {
  let tag = null, silent = 0;
  for (let main; (main = document.querySelector("main[data-live]")); ) {
    await pause(Math.min(MOST_SECONDS, Number(main.dataset.live) * 2 ** silent));
    if (document.hidden || document.activeElement?.closest("form, .slider")) continue;
    let response;
    try {
      response = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {} });
    } catch {
      silent += silent < 5;
      showSilence(true);
      continue;
    }
    silent = 0;
    showSilence(false);
    if (response.status !== 200) continue;
    tag = response.headers.get("ETag");
    replaceMain(new DOMParser().parseFromString(await response.text(), "text/html"));
  }
}

function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

function showSilence(silent) {
  const told = document.querySelector("#silence");
  if (silent && !told) {
    const line = document.createElement("p");
    line.id = "silence";
    line.className = "flag";
    line.setAttribute("role", "status");
    line.textContent = "scale view does not answer: it has ended, or cannot be reached. This page shows what was last known.";
    document.querySelector("main").prepend(line);
  } else if (!silent && told) told.remove();
}

function replaceMain(page) {
  const was = document.querySelector("main"), is = page.querySelector("main");
  if (!is || (loaded ?? "") === is.innerHTML) return;
  loaded = is.innerHTML;
  const value = was.querySelector("input[type=range]")?.value;
  const open = [...was.querySelectorAll("details[id]")].map((one) => [one.id, one.open]);
  const focus = document.activeElement?.getAttribute("href");
  was.replaceWith(document.adoptNode(is));
  for (const [id, wasOpen] of open) {
    const one = document.getElementById(id);
    if (one) one.open = wasOpen;
  }
  if (value !== undefined && is.querySelector("input[type=range]")) is.querySelector("input[type=range]").value = value;
  if (focus) is.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
  localise();
  slide();
}

// Times in the reader's own form and time zone.
function localise() {
  const form = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.title ||= time.textContent;
    time.textContent = form.format(moment);
  }
}

// j and k go to the next and the previous problem, J and K to the next and the previous attempt.
function follow(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, textarea")) return;
  const key = event.key.length === 1 ? event.key : "";
  const named = key !== key.toLowerCase() ? `Shift+${key}` : key;
  if (named) document.querySelector(`a[aria-keyshortcuts="${CSS.escape(named)}"]`)?.click();
}

document.addEventListener("keydown", follow);
localise();
slide();
if (location.protocol.startsWith("http")) watch();
