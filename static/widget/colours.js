/* The customer's accent, moved towards the ink until it can be read on the paper (WCAG 2.2, 1.4.3). */

const ENOUGH = 4.5;

const parts = (colour) => {
  const [r, g, b] = colour.match(/[\d.]+/g).map(Number);
  return [r, g, b];
};

const light = (rgb) => {
  const [r, g, b] = rgb.map((one) => {
    const share = one / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

export const contrast = (one, other) => {
  const [more, less] = [light(one), light(other)].sort((a, b) => b - a);
  return (more + 0.05) / (less + 0.05);
};

const ofHex = (hex) => {
  const whole = hex.length === 4 ? hex.replace(/[0-9a-f]/gi, "$&$&") : hex;
  return [1, 3, 5].map((at) => parseInt(whole.slice(at, at + 2), 16));
};

export const readable = (accent, paper, ink) => {
  const [from, ground, to] = [ofHex(accent), parts(paper), parts(ink)];
  for (let share = 0; share < 1; share += 0.05) {
    const mixed = from.map((one, at) => Math.round(one + (to[at] - one) * share));
    if (contrast(mixed, ground) >= ENOUGH) return `rgb(${mixed.join(" ")})`;
  }
  return ink;
};
