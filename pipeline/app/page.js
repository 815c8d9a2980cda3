// A photo may be pasted, or dropped anywhere; the one before makes room.
document.addEventListener('paste', (event) => bring(event.clipboardData.files));
document.addEventListener('dragover', (event) => {
  // Else the browser would leave the page and show the file instead.
  if (event.dataTransfer.types.includes('Files')) event.preventDefault();
});
document.addEventListener('drop', (event) => {
  if (!event.dataTransfer.files.length || event.defaultPrevented) return;
  event.preventDefault();
  bring(event.dataTransfer.files);
});

let brought = null;

function bring(files) {
  if (!files.length || !document.querySelector('#photo')?.checkVisibility()) return;
  const isAlreadyWaiting = brought !== null;
  [brought] = files;
  if (!isAlreadyWaiting) handOver();
}

// Gradio has no field while a photo is there or on its way. One that has been given a photo goes a
// moment later; given another, it would upload both and take them for a list.
let given = null;

function handOver() {
  const field = document.querySelector('#photo input[type=file]');
  if (!field || field === given) {
    document.querySelector('#photo button[aria-label=Clear]')?.click();
    requestAnimationFrame(handOver);
    return;
  }
  const transfer = new DataTransfer();
  transfer.items.add(brought);
  brought = null;
  given = field;
  field.files = transfer.files;
  field.dispatchEvent(new Event('change', { bubbles: true }));
}

// What else Gradio leaves to the mouse, the arrow keys do: the slider, and the place in the photo.
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HANDLE = '#slider [data-testid=slider]';
const PHOTO = '#canvas button';
const NUMBER = '[data-testid=number-input]';
const TOLD = {
  [HANDLE]: { role: 'slider', tabindex: '0', 'aria-label': 'Before and after: arrow keys move it' },
  [PHOTO]: { 'aria-label': 'Photo: arrow keys move the place, Enter chooses it' },
};

new MutationObserver(() => {
  for (const [selector, attributes] of Object.entries(TOLD)) {
    const element = document.querySelector(selector);
    if (!element || element.hasAttribute('aria-label')) continue;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (selector === HANDLE) tellPosition(element);
  }
  for (const table of document.querySelectorAll('#card table')) widths.observe(table);
  nameSwatches();
  readOut();
}).observe(document, { childList: true, subtree: true });

// A table that is too wide is scrolled by the arrow keys, once the Tab key has led there.
const widths = new ResizeObserver((entries) => {
  for (const { target: table } of entries) {
    const names = [...table.querySelectorAll('th')].map((each) => each.textContent);
    table.setAttribute('aria-label', `Table of ${names.join(', ')}`);
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
    else table.removeAttribute('tabindex');
  }
});

// What comes to stand there is said to those who do not see it; how far long work is, they ask.
const heard = { '#note': '', '#said': null, '#report': null, '#film-report': null };

function readOut() {
  for (const [selector, before] of Object.entries(heard)) {
    const place = document.querySelector(selector);
    if (!place || place.querySelector('progress')?.value < 1) continue;
    const text = place.querySelector('p')?.textContent.trim() ?? '';
    if (text === before) continue;
    heard[selector] = text;
    // What a tab begins with is read when it is reached.
    if (before !== null) speaker().textContent = text;
  }
}

function speaker() {
  const there = document.querySelector('#heard');
  if (there) return there;
  const made = document.createElement('div');
  made.id = 'heard';
  made.setAttribute('role', 'status');
  return document.body.appendChild(made);
}

// Shown to the pointer, and read out.
function nameSwatches() {
  const names = document.querySelector('#swatches-style style')?.dataset.names ?? '[]';
  for (const [number, name] of JSON.parse(names).entries()) {
    const swatch = document.querySelector(`#swatch-${number}`);
    if (!swatch || swatch.title === name) continue;
    swatch.title = name;
    swatch.setAttribute('aria-label', name);
  }
}

document.addEventListener('keydown', (event) => {
  const handle = event.target.closest?.(HANDLE);
  const photo = event.target.closest?.(PHOTO);
  const step = STEPS[event.key];
  if (handle && step) moveHandle(handle, step[0] - step[1], event.shiftKey);
  else if (photo && step) movePlace(photo, step, event.shiftKey);
  else if (photo && (event.key === 'Enter' || event.key === ' ')) choosePlace(photo);
  else return;
  event.preventDefault();
});

// Gradio hears from the mouse alone that a number was slid to.
document.addEventListener('keyup', (event) => {
  if (/^(Arrow|Page|Home|End)/.test(event.key) && event.target.matches?.('input[type=range]'))
    event.target.dispatchEvent(new PointerEvent('pointerup', { bubbles: true }));
});

// Gradio would hear of each key in the field of a number, in range or not, and that it was slid to
// whenever the field is clicked or left. It hears of a number in range, once it is there.
for (const type of ['input', 'pointerup', 'blur'])
  document.addEventListener(type, (event) => {
    if (event.isTrusted && event.target.matches?.(NUMBER)) event.stopPropagation();
  }, true);
document.addEventListener('change', ({ target }) => {
  if (!target.matches(NUMBER)) return;
  const { min, max, value } = target.closest('.block').querySelector('input[type=range]');
  target.value = Math.min(Math.max(target.value || value, min), max);
  target.dispatchEvent(new InputEvent('input', { bubbles: true }));
  target.dispatchEvent(new PointerEvent('pointerup', { bubbles: true }));
});

// Gradio opens a list of choices again after the Tab key has left it.
document.addEventListener('keydown', (event) => {
  if (event.key === 'Tab' && event.target.closest?.('[role=combobox]')) event.stopPropagation();
}, true);

function moveHandle(handle, direction, far) {
  const width = handle.parentElement.getBoundingClientRect().width;
  const line = handle.querySelector('.inner').getBoundingClientRect();
  const [x, y] = [line.x + line.width / 2, line.y + line.height / 2];
  const to = x + direction * width * (far ? 0.1 : 0.02);
  // As the mouse would drag it.
  const say = (type, clientX, on) =>
    on.dispatchEvent(new MouseEvent(type, { bubbles: true, view: window, clientX, clientY: y }));
  say('mousedown', x, handle);
  say('mousemove', to, window);
  say('mouseup', to, window);
  requestAnimationFrame(() => tellPosition(handle));
}

function tellPosition(handle) {
  const around = handle.parentElement.getBoundingClientRect();
  const line = handle.querySelector('.inner').getBoundingClientRect();
  const share = (line.x + line.width / 2 - around.x) / around.width;
  handle.setAttribute('aria-valuenow', Math.round(100 * Math.min(Math.max(share, 0), 1)));
}

// The place is kept as shares of the picture's width and height.
function movePlace(photo, [right, down], far) {
  const share = far ? 0.05 : 0.01;
  const [x, y] = placeOf(photo) ?? [0.5, 0.5];
  const inside = (value) => Math.min(Math.max(value, 0), 0.999);
  const place = [inside(x + right * share), inside(y + down * share)];
  photo.dataset.place = place.join(' ');
  const marker = photo.querySelector('.marker') ?? photo.firstElementChild.appendChild(newMarker());
  const shown = pictureIn(photo);
  const around = photo.firstElementChild.getBoundingClientRect();
  marker.style.left = `${shown.x - around.x + place[0] * shown.width}px`;
  marker.style.top = `${shown.y - around.y + place[1] * shown.height}px`;
}

function choosePlace(photo) {
  const [x, y] = placeOf(photo) ?? [0.5, 0.5];
  const shown = pictureIn(photo);
  const [clientX, clientY] = [shown.x + x * shown.width, shown.y + y * shown.height];
  const image = photo.querySelector('img');
  image.dispatchEvent(new MouseEvent('click', { bubbles: true, clientX, clientY }));
}

function placeOf(photo) {
  return photo.dataset.place?.split(' ').map(Number);
}

function newMarker() {
  const marker = document.createElement('span');
  marker.className = 'marker';
  return marker;
}

// Where the picture itself is: its box may be larger.
function pictureIn(photo) {
  const image = photo.querySelector('img');
  const box = image.getBoundingClientRect();
  const scale = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
  const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
  return { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height };
}
