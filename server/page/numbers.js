// Numbers, times and names as people read them.

function digits(value, count = 3) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e15 || size < 1e-4) return value.toExponential(count - 1);
  const whole = Math.floor(Math.log10(size)) + 1;
  return value.toFixed(Math.max(0, Math.min(8, count - whole)));
}

function short(value, count = 3) {
  if (!Number.isFinite(value)) return "–";
  for (const [unit, name] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= unit * (name === "k" ? 10 : 1)) return digits(value / unit, count) + name;
  }
  return digits(value, count);
}

// For ticks: no zeros that say nothing.
const trimmed = (text) => text.replace(/(\.\d*?)0+(?=\D*$)/, "$1").replace(/\.(?=\D*$)/, "");

const percent = (share, count = 1) =>
  Number.isFinite(share) ? (100 * share).toFixed(count) + " %" : "–";

function duration(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 0.9995) return digits(1000 * seconds, 3) + " ms";
  if (seconds < 100) return digits(seconds, 3) + " s";
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const clock = (unix) => new Date(1000 * unix).toLocaleTimeString([], { hour12: false });
const plain = (number) => Number(number).toLocaleString("en-US");
const words = (name) => name.replaceAll("_", " ");
