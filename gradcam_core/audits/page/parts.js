// Overview, findings, classes and groups. Each claim links to its photos.
/* global REPORT, find, make, rows, percent, nameOf, tile, meanMap, number, spoken */

const STRIP = 8;
const MANY = 100; // classes that are shown at first
const TITLES = { shortcut: 'shortcut', outside: 'beside the object', confusion: 'confusion', errors: 'sure and wrong', trait: 'goes with the label' };

const link = (text, state) => {
  const node = make('a', '', text);
  node.href = `#${new URLSearchParams(state)}`;
  return node;
};
const strip = (photos) => {
  const list = make('ul', 'tiles');
  list.append(...photos.slice(0, STRIP).map((i) => tile(i, photos)));
  return list;
};
const photosOf = (some, all) => (some < all ? `${some} of the ${all} photos` : all === 1 ? 'The photo' : `All ${all} photos`);

find('h1').textContent = document.title;
{
  const facts = [`${REPORT.photos} photos`];
  if (REPORT.failed) facts.push(`${REPORT.failed} failed`);
  if (REPORT.accuracy !== null) facts.push(`${percent(REPORT.accuracy, 1)} right`);
  if (REPORT.layer) facts.push(`layer ${REPORT.layer}`);
  if (REPORT.settings.method) facts.push(REPORT.settings.method);
  facts.push(`${REPORT.tested} of ${REPORT.candidates} suspected groups put to the counter-test`);
  if (REPORT.shown < REPORT.photos) facts.push(`${REPORT.shown} photos are shown here`);
  find('.facts').textContent = facts.join(' · ');
}

{
  const list = find('#findings ol');
  REPORT.findings.forEach((finding, i) => {
    const item = make('li');
    const text = make('p');
    text.append(make('span', `kind ${finding.kind}`, TITLES[finding.kind] ?? finding.kind), finding.sentence);
    const line = make('p');
    if (finding.photos.length) line.append(link(photosOf(finding.photos.length, finding.count), { finding: i }));
    item.append(text, strip(finding.photos), line);
    list.append(item);
  });
  if (!REPORT.findings.length) list.replaceWith(make('p', '', 'Nothing was found that stands out.'));
}

const hasLabels = REPORT.labelled > 0;
const hasBoxes = REPORT.classes.some((one) => one.inside !== null);
{
  const head = make('tr');
  const columns = ['Class', 'Mean map', 'Photos', ...(hasLabels ? ['Right', 'Taken for'] : []), ...(hasBoxes ? ['Heat in the boxes', 'Boxes cover'] : [])];
  for (const name of columns) {
    const cell = make('th', ['Class', 'Mean map', 'Taken for'].includes(name) ? '' : 'number', name);
    cell.scope = 'col';
    head.append(cell);
  }
  find('#classes thead').append(head);
  const ordered = [...REPORT.classes].sort((a, b) => (a.accuracy ?? 2) - (b.accuracy ?? 2) || a.index - b.index);
  const row = (one) => {
    const line = make('tr');
    const name = make('th');
    name.scope = 'row';
    name.append(link(spoken(one.name), { class: one.index }));
    const map = make('td');
    if (one.mean_map) map.append(meanMap(one.mean_map));
    line.append(name, map, make('td', 'number', one.photos));
    if (hasLabels) {
      const taken = make('td');
      one.confusions.slice(0, 3).forEach((other, i) => taken.append(i ? ', ' : '', `${spoken(other.as)} (${other.photos})`));
      const right = make('td', 'number');
      if (one.accuracy !== null) right.append(one.accuracy < 1 ? link(percent(one.accuracy), { class: one.index, answer: 'wrong' }) : percent(1));
      line.append(right, taken);
    }
    if (hasBoxes) line.append(...[one.inside, one.area].map((share) => make('td', 'number', share === null ? '' : percent(share))));
    return line;
  };
  const body = find('#classes tbody'), more = find('#classes .more');
  body.append(...ordered.slice(0, MANY).map(row));
  more.hidden = ordered.length <= MANY;
  more.addEventListener('click', () => {
    body.append(...ordered.slice(MANY).map(row));
    more.hidden = true;
  });
}

// Groups by their name in addresses, "class.number"; those that are candidates, first what was borne out.
const groups = REPORT.classes.flatMap((one) => one.groups.map((group, i) => ({ ...group, one, key: `${one.index}.${i}` })))
  .filter((group) => group.is_candidate)
  .sort((a, b) => b.is_borne_out - a.is_borne_out || b.separability - a.separability);
const groupTitle = (group) => `${spoken(group.one.name)}, ${group.where}`;
{
  const list = find('#groups ul');
  for (const group of groups.slice(0, 50)) {
    const item = make('li', 'group');
    const verdict = group.is_borne_out ? 'borne out' : group.log_odds ? 'not borne out' : 'not tested';
    const title = make('h3');
    title.append(make('span', `kind ${group.is_borne_out ? 'shortcut' : ''}`, verdict), groupTitle(group));
    const facts = [`${percent(group.heat)} of its heat lies there, of the class's other photos ${percent(group.elsewhere)}`];
    if (group.log_odds) {
      const times = (name) => number(Math.exp(group.log_odds[name]));
      facts.push(`hidden there, the odds fall by a factor of ${times('hidden')} more than with as much hidden elsewhere; ` +
        `pasted into other photos, they rise by a factor of ${times('pasted')} more than with the same place of the class's other photos`);
      if (Math.min(group.log_odds.hidden, group.log_odds.group, group.log_odds.pasted) < group.least) {
        facts.push(`each must be a factor of ${number(Math.exp(group.least))} or more, also against the class's other photos`);
      }
      if (group.is_still_surer) facts.push(`even with it hidden, the odds of the class are ${number(Math.exp(group.left))} ` +
        'times those of its other photos: they show it better than others do');
      if (group.may_be_the_object) {
        const missed = `, which may be chance, and without it they are ${number(Math.exp(-group.deficit))} times those of the class's other photos`;
        facts.push(`pasted, it raises them ${times('usual')} times as much as the usual evidence does` +
          `${group.log_odds.usual > 0 ? missed : ''}: it may be the thing itself`);
      }
    }
    const line = make('p');
    line.append(link(photosOf(group.photos.length, group.count), { group: group.key }));
    item.append(title, make('p', 'soft', `${facts.join('; ')}.`), strip(group.photos), line);
    list.append(item);
  }
  if (!groups.length) list.replaceWith(make('p', '', 'No group of photos stands apart.'));
}
