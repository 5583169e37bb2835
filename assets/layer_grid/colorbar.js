// The colour bar: which colour stands for how much, in numbers.

const highestPeak = (maps = answer.maps) => Math.max(...maps.map((map) => map.peak));

// What the bar is of, and a number for each quarter of it: of one map its evidence, of all of them what they have in common.
const barNumbers = (map) => {
  const isShared = view.scale === 'shared';
  if (map?.isFused || (!map && !isShared))
    return [`share of each ${map ? 'layer' : 'map'}’s peak`, [0, 25, 50, 75, 100].map((percent) => `${percent} %`)];
  const highest = isShared ? highestPeak() : map.peak;
  return ['evidence', highest > 0 ? [0, 1, 2, 3, 4].map((quarter) => number(quarter * highest / 4)) : ['0']];
};

const colorBar = (map) => {
  const [title, numbers] = barNumbers(map);
  const bar = make('span', 'gx-colorbar');
  const colors = make('span', 'gx-colors');
  colors.style.backgroundImage = gradientOf(tables[view.colormap]);
  const scale = make('span', 'gx-numbers');
  scale.append(...numbers.map((text) => make('span', '', text)));
  bar.append(make('span', 'gx-label', title), colors, scale);
  return bar;
};

const showColorBars = () => find('.gx-bar-of-all').replaceChildren(colorBar());
