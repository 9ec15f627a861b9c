import { useLanguage } from "llq/browser";
import { asProblem } from "./as-problem.js";
import { LocalEngine } from "./local.js";
import { type Scope, serve } from "./serve.js";

serve(self as unknown as Scope, new LocalEngine(), asProblem, (language) => {
  useLanguage(language === "zh" ? "zh" : "en").catch(() => {}); // English says it as well
});
