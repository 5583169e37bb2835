// Photo by photo: filter, sort, pages of a hundred, and the large view. What is chosen stands in the address.
/* global REPORT, find, make, rows, count, measured, isValue, nameOf, tile, picture, isWrong, isRight, groups, groupTitle, number, said, sheet */

const PAGE = 100;
const filter = find('.filter');
const used = new Set([...rows.label_index, ...rows.predicted_index].filter((index) => index !== null));
for (const index of [...used].sort((a, b) => a - b)) filter.class.append(new Option(nameOf(index), index));
REPORT.findings.forEach((finding, i) => filter.group.append(new Option(`finding ${i + 1}`, `f${i}`)));
for (const group of groups) filter.group.append(new Option(groupTitle(group), group.key));

for (const option of filter.sort) option.text = option.text.replace('probability', REPORT.measures);
for (const bound of [filter.from, filter.to]) bound.parentElement.hidden = isValue; // they are percentages

let chosen = []; // places of the photos that pass the filter, in their order
let page = 0;

const members = (key) => (key.startsWith('f') ? REPORT.findings[+key.slice(1)]?.photos : groups.find((group) => group.key === key)?.photos);
const ORDERS = {
  high: (a, b) => rows.probability[b] - rows.probability[a],
  low: (a, b) => rows.probability[a] - rows.probability[b],
  peak: (a, b) => rows.peak[b] - rows.peak[a],
  name: (a, b) => (rows.photo[a] < rows.photo[b] ? -1 : 1),
};

const choose = () => {
  const { answer, group, sort } = filter;
  const wanted = filter.class.value === '' ? null : +filter.class.value;
  const [low, high] = [filter.from.value / 100, (filter.to.value || 100) / 100];
  const some = group.value ? members(group.value) ?? [] : rows.photo.keys();
  const passes = {
    '': () => true, right: isRight, wrong: isWrong, failed: (i) => rows.error[i] !== null,
  }[answer.value];
  chosen = [...some].filter((i) => passes(i)
    && (wanted === null || (rows.label_index[i] ?? rows.predicted_index[i]) === wanted)
    && ((low <= 0 && high >= 1) || (rows.probability[i] !== null && rows.probability[i] >= low && rows.probability[i] <= high)));
  if (sort.value) chosen.sort(ORDERS[sort.value]);
  page = 0;
  turn();
};

const turn = () => {
  const start = page * PAGE, shown = chosen.slice(start, start + PAGE);
  find('#photos .tiles').replaceChildren(...shown.map((i) => tile(i, chosen)));
  find('.count').textContent = shown.length ? `Photos ${start + 1} to ${start + shown.length} of ${chosen.length}` : 'No photo passes this filter.';
  find('.earlier').disabled = page === 0;
  find('.later').disabled = start + PAGE >= chosen.length;
};

const go = (by) => {
  page += by;
  turn();
  find('#photos-title').focus();
};
find('.earlier').addEventListener('click', () => go(-1));
find('.later').addEventListener('click', () => go(1));

// A link such as #class=3&answer=wrong sets the filter; one such as #classes is a place on the page.
const follow = () => {
  const state = new URLSearchParams(location.hash.slice(1));
  const names = ['answer', 'class', 'group', 'finding'].filter((name) => state.get(name));
  if (!names.length) return;
  filter.reset();
  for (const name of ['answer', 'class', 'group']) filter[name].value = state.get(name) ?? '';
  if (state.get('finding')) filter.group.value = `f${state.get('finding')}`;
  for (const select of filter.querySelectorAll('select')) if (select.selectedIndex < 0) select.value = '';
  choose();
  find('#photos-title').focus({ preventScroll: true });
  find('#photos').scrollIntoView();
};
filter.addEventListener('submit', (event) => event.preventDefault());
filter.addEventListener('input', choose);
filter.addEventListener('reset', () => setTimeout(choose));
addEventListener('hashchange', follow);

// --- the large view ---

const large = (i, which, title) => {
  const figure = make('figure');
  const node = picture(i, which, 400);
  const whole = make('img');
  whole.alt = '';
  whole.hidden = true;
  whole.addEventListener('load', () => { whole.hidden = false; });
  if (REPORT.root !== null && rows.error[i] === null && !rows.photo[i].includes('://')) whole.src = REPORT.root + rows.photo[i].split('/').map(encodeURIComponent).join('/');
  node.prepend(whole);
  figure.append(node, make('figcaption', '', title));
  return figure;
};

const stepper = (text, label, act) => {
  const button = make('button', '', text);
  button.type = 'button';
  button.title = label;
  button.setAttribute('aria-label', label);
  button.addEventListener('click', act);
  return button;
};

const enlarge = (first, list, opener) => {
  const dialog = make('dialog');
  let at = list.indexOf(first);
  const show = (by) => {
    if (list[at + by] === undefined) return;
    at += by;
    const i = list[at];
    dialog.setAttribute('aria-label', rows.photo[i]);
    const head = make('div', 'head');
    const [earlier, later] = [stepper('‹', 'Previous photo (left arrow)', () => show(-1)), stepper('›', 'Next photo (right arrow)', () => show(1))];
    earlier.disabled = at === 0;
    later.disabled = at === list.length - 1;
    const close = stepper('×', 'Close', () => dialog.close());
    head.append(make('h2', '', rows.photo[i]), earlier, later, close);
    const pair = make('div', 'pair');
    if (rows.map_height[i]) pair.append(large(i, 'predicted', `for ${nameOf(rows.predicted_index[i])}, what it says`));
    if (rows.map_height[i] && isWrong(i)) pair.append(large(i, 'label', `for ${nameOf(rows.label_index[i])}, what it is`));
    const facts = make('dl');
    const fact = (term, text) => { if (text !== null) facts.append(make('dt', '', term), make('dd', '', text)); };
    fact('answer', rows.error[i] ?? said(i));
    fact('label', rows.label_index[i] === null ? null : `${nameOf(rows.label_index[i])}${rows.label_probability[i] === null ? '' : `, ${measured(rows.label_probability[i], 1)}`}`);
    fact('peak', rows.peak[i] === null ? null : number(rows.peak[i]));
    fact('size', rows.width[i] === null ? null : `${rows.width[i]} × ${rows.height[i]} px`);
    dialog.replaceChildren(head, pair, facts);
    (by && !(by > 0 ? later : earlier).disabled ? (by > 0 ? later : earlier) : close).focus();
  };
  dialog.addEventListener('keydown', ({ key }) => {
    if (key === 'ArrowLeft') show(-1);
    if (key === 'ArrowRight') show(1);
  });
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => { dialog.remove(); opener.focus(); });
  document.body.append(dialog);
  dialog.showModal();
  show(0);
};

choose();
follow();
