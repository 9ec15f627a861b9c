import { JOB_KINDS } from "./job-kinds.js";
import { serve } from "./serve.js";

serve(JOB_KINDS);
