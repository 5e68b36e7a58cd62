// Shows openapi.json, which stands beside this page, also behind a proxy's prefix.

const WIDTH = 28; // of a picture: its 784 numbers would be 784 lines, and in rows they show what they are

function inRows(numbers) {
  const parts = numbers.match(/[^[\],\s]+/g);
  const longest = Math.max(...parts.map((part) => part.length));
  const row = (first) => parts.slice(first, first + WIDTH).map((part) => part.padStart(longest)).join(",");
  const rows = Array.from({ length: Math.ceil(parts.length / WIDTH) }, (_, number) => row(number * WIDTH));
  return rows.length > 1 ? `[\n${rows.join(",\n")}\n]` : `[${row(0)}]`;
}

function writeArraysInRows({ fn }) {
  const write = fn.getSampleSchema;
  fn.getSampleSchema = (...schema) => {
    const sample = write(...schema); // a text, or what has none
    return typeof sample === "string" ? sample.replace(/\[[-+.\deE,\s]+\]/g, inRows) : sample;
  };
}

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#operations",
  deepLinking: true,
  validatorUrl: null, // Swagger UI would have the document checked by a service on the internet
  plugins: [{ afterLoad: writeArraysInRows }],
});
