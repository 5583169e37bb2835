// The cards: a picture that opens, and what is said of its map.

const whyEmpty = (map) =>
  `Nothing in ${map.isFused ? 'all layers at once' : 'this layer'} speaks ${answer.value.against ? 'against' : 'for'} “${spoken(map.target.name)}”${answer.value.instead_of
    ? ` rather than “${spoken(answer.value.instead_of.name)}”` : ''} in this photo, so its map is zero everywhere.`;

const facts = (map) => {
  const list = make('dl', 'gx-facts');
  const [height, width] = map.cell.map((side) => (side < 10 ? side.toFixed(1) : String(Math.round(side))));
  for (const [term, fact, hint] of [
    ['size', map.shape.join('\u2009×\u2009'), 'Rows and columns of cells, and channels of each'],
    ['cell', `${height}\u2009×\u2009${width} px`, 'How much of the photo one cell stands for, height and width'],
    ...(map.isFused ? [] : [['peak', number(map.peak), 'The strongest evidence in this map: what 100 % of it stands for']]),
  ]) {
    list.append(make('dt', '', term), make('dd', '', fact));
    list.lastChild.title = list.lastChild.previousSibling.title = hint;
  }
  return list;
};

const stack = (map, width) => {
  const picture = make('span', 'gx-stack');
  const photo = make('img');
  photo.alt = '';
  photo.src = answer.photo.src;
  photo.width = answer.photo.naturalWidth;
  photo.height = answer.photo.naturalHeight;
  picture.style.setProperty('--gx-width', `${photo.width}px`);
  picture.style.setProperty('--gx-ratio', photo.width / photo.height);
  const canvas = heatCanvas(map, width);
  picture.append(photo, canvas);
  return { picture, canvas };
};

const isCompared = () => answer.rows.length > 1;
const stageOf = (map) => (map.isFused ? FUSIONS[view.fusion] : `stage ${map.stage}`);
const titleOf = (map) =>
  `${isCompared() ? `${spoken(map.target.name)}, ` : ''}${map.isFused ? `${stageOf(map)} all layers` : `stage ${map.stage}, layer ${map.layer}`}`;

const buildCard = (map) => {
  const card = make('li', 'gx-card');
  card.dataset.layer = map.layer;
  const open = make('button', 'gx-open');
  open.type = 'button';
  open.setAttribute('aria-label', `Enlarge ${titleOf(map)}`);
  const { picture, canvas } = stack(map, FINE);
  open.append(picture);
  open.addEventListener('click', () => enlarge(map, open));
  const text = make('div', 'gx-text');
  const head = make('div', 'gx-card-head');
  head.append(make('span', 'gx-stage', stageOf(map)), saveButton(map));
  const name = make('code', 'gx-name');
  name.append(...map.layer.split(/(?<=[/_])/).flatMap((part) => [part, make('wbr')]));
  text.append(head, name, facts(map));
  if (map.is_empty) {
    text.append(make('p', 'gx-badge', 'no evidence'), make('p', 'gx-why', whyEmpty(map)));
    card.classList.add('is-empty');
  }
  card.append(open, text);
  Object.assign(card, { canvas, map, isStale: true, isNear: false });
  return card;
};

const saveButton = (map) => {
  const button = make('button', 'gx-save');
  button.type = 'button';
  button.title = 'Save this picture at the size of the photo';
  button.setAttribute('aria-label', `Save the picture of ${titleOf(map)}`);
  button.addEventListener('click', () => trigger('download', { what: 'card', target: map.target.index, layer: map.isFused ? FUSED : map.layer, ...view }));
  return button;
};

const buildRow = ({ target, maps, fused }) => {
  const row = make('section', 'gx-row');
  const list = make('ul', 'gx-cards');
  list.setAttribute('role', 'list');
  list.setAttribute('aria-label', `Heat maps ${answer.value.against ? 'against' : 'for'} ${spoken(target.name)}, from shallow to deep`);
  list.style.setProperty('--gx-columns', Math.min(Math.max(maps.length, 3), 6));
  list.append(...maps.map(buildCard), ...fused.map(buildCard));
  if (isCompared()) {
    const head = make('h3', 'gx-class');
    head.append(spoken(target.name), make('span', 'gx-percent', target.text));
    row.append(head);
  }
  row.append(list);
  return row;
};
