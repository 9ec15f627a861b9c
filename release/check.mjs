// What must hold before a version is published: part of `npm publish`. A dry run only says what does not.

import { readFileSync } from "node:fs";

const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
const { version, homepage } = JSON.parse(read("package.json"));
const problems = [];
const [, newest] = /^## (\S+)/m.exec(read("CHANGELOG.md")) ?? [];
if (newest !== version) problems.push(`CHANGELOG.md begins with ${newest}, and the version is ${version}`);
for (const file of ["samples/ci/check-model.yml"]) {
  for (const [, named] of read(file).matchAll(/llq@(\d[\w.-]*)/g)) {
    if (named !== version) problems.push(`${file} names llq@${named}, and the version is ${version}`);
  }
}
if (homepage.includes("your-organization")) {
  problems.push("package.json, README.md and samples/ci name your-organization: put in who publishes it");
}
for (const problem of problems) console.error(`release: ${problem}`);
if (process.env.npm_config_dry_run !== "true" && problems.length > 0) process.exitCode = 1;
