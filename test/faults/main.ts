// `npm run faults -- NAME [--count N]`: faults that a release must survive, on the real parts of the lab.
const [name = '', ...rest] = process.argv.slice(2);
const known = ['kill', 'registry'];
if (!known.includes(name)) {
  console.error(`usage: npm run faults -- ${known.join('|')} [--count N]`);
  process.exit(2);
}
process.argv.splice(2, process.argv.length - 2, ...rest);
await import(`./${name}.ts`);
