// The list of videos, the controls, and what happens first.

const list = byId("videos");
const near = new Set();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const video = target.video;
      if (!isIntersecting) near.delete(video);
      else {
        near.add(video);
        if (!video.isDrawn) drawBody(video);
        else if (video.scores) refresh(video); // the threshold may have moved while it was away
      }
    }
  },
  { rootMargin: "400px" }
);

const collator = new Intl.Collator(undefined, { numeric: true });
const byName = (a, b) => collator.compare(a.name, b.name);
const orders = {
  score: (a, b) => (b.highest > a.highest) - (b.highest < a.highest) || byName(a, b),
  false: (a, b) => (judged.length ? (b.false || 0) - (a.false || 0) : countOf(b) - countOf(a)) || orders.score(a, b),
  name: byName,
};
const countOf = (video) => (video.events ? video.events.length : 0);

function arrange() {
  const focused = document.activeElement;
  const order = [...videos].sort(orders[byId("sort").value]);
  if (order.some((video, i) => list.children[i] !== video.item)) list.append(...order.map((video) => video.item));
  if (focused && focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
}

function choose() {
  const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const video of videos) {
    const text = `${video.name} ${video.class || ""}`.toLowerCase();
    const fits =
      words.every((word) => text.includes(word)) &&
      (!byId("only-events").checked || countOf(video) > 0) &&
      (!byId("only-abnormal").checked || video.label === 1 || (video.spans || []).length > 0);
    video.item.hidden = !fits;
    shown += fits;
  }
  byId("shown").textContent = shown === videos.length ? plural(shown, "video") : `${shown} of ${plural(videos.length, "video")}`;
}

let told = 0;
function tell(text) {
  clearTimeout(told); // only where the slider comes to rest
  told = setTimeout(() => (byId("status").textContent = text), 500);
}

const slider = byId("slider");
const exact = byId("exact");
const place = (threshold) => Math.round(share(threshold) * STEPS);

function update() {
  showSummary();
  scored.forEach(showCounts);
  for (const video of near) if (video.isDrawn) refresh(video);
  choose();
}

let waiting = 0;
function moveTo(threshold) {
  setThreshold(threshold);
  if (!waiting) {
    waiting = requestAnimationFrame(() => {
      waiting = 0;
      update();
    });
  }
  tell(`Threshold ${scoreWords(threshold)}: ${plural(totals.events, "event")}, ${alarmWords()}`);
}

slider.addEventListener("input", () => {
  const at = Number(slider.value);
  // back at the place of the rule's own threshold it is that very threshold
  const threshold = at === place(rule.threshold) ? rule.threshold : fromAxis(axis.low + (at / STEPS) * (axis.high - axis.low));
  exact.value = scoreWords(threshold);
  moveTo(threshold);
});
slider.addEventListener("change", arrange);
exact.addEventListener("change", () => {
  const threshold = exact.valueAsNumber;
  if (!Number.isFinite(threshold)) return;
  slider.value = place(threshold);
  moveTo(threshold);
  arrange();
});
function reset() {
  slider.value = place(rule.threshold);
  exact.value = scoreWords(rule.threshold);
  moveTo(rule.threshold);
  arrange();
}
byId("reset").addEventListener("click", reset);
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
byId("sort").addEventListener("change", arrange);
for (const id of ["find", "only-events", "only-abnormal"]) {
  byId(id).addEventListener("input", () => {
    choose();
    tell(byId("shown").textContent);
  });
}
addEventListener("beforeprint", () => scored.forEach((video) => (drawBody(video), refresh(video))));

// ---- begin
const withTruth = judged.some((video) => video.spans.length) || videos.some((video) => video.label === 1);
for (const part of document.querySelectorAll(".of-truth")) part.hidden = !withTruth;
for (const part of document.querySelectorAll(".of-spans")) part.hidden = !spanCount;
byId("levels").textContent = levelsMeaning();
if (!judged.length) byId("sort").options[1].textContent = "most events first";
list.append(...videos.map(makeShell));
videos.filter((video) => !video.scores).forEach(showCounts);
slider.value = place(rule.threshold);
exact.value = scoreWords(rule.threshold);
setThreshold(rule.threshold);
update();
arrange();
for (const video of videos) watcher.observe(video.item);

// for the browser's console, and for tests
globalThis.report = Object.freeze({
  events: (name) => videos.find((video) => video.name === name).events,
  level: (name, score) => ({ ...levelOf(videos.find((video) => video.name === name), score), often: oftenWords(score) }),
  limits: () => ({ ...limits }),
  totals: () => ({ ...totals, normalHours, allHours, spanCount }),
});
