// Names and numbers as they are read. Pure: it knows no page.

const spoken = (name) => name.replaceAll(/[_\s]/g, ' '); // in one line: it ends comments in code too
const number = (x) => (x === 0 ? '0' : x >= 0.001 && x < 1e5 ? String(+x.toPrecision(3)) : x.toExponential(1));
