// cases.mjs - what the tests in Node share. test(name, run) adds a case; main() runs all of them and
// prints one JSON line for each, which client.run_cases in Python reads.

const PATIENCE_MS = 240_000; // a hang guard, far above any real duration

const cases = [];

export function test(name, run) {
  cases.push({ name, run });
}

function withPatience(promise) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("it hangs")), PATIENCE_MS);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

// Runs the cases, then `end`; the exit status says if the script itself came to its end.
export async function main(end = async () => {}) {
  for (const { name, run } of cases) {
    const begin = performance.now();
    let error = null;
    try {
      await withPatience(run());
    } catch (thrown) {
      error = thrown?.stack ?? String(thrown);
    }
    console.log(JSON.stringify({ name, error, ms: Math.round(performance.now() - begin) }));
  }
  await end();
  process.exit(0);
}
