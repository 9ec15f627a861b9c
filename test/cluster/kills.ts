import { rmSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../support/random.js";
import { expectWhole, type Ground, quantizeArgs, sleep, Task } from "./task.js";

const COUNTS = [1, 2, 3, 7, 16];
/** Tasks at once. */
const AT_ONCE = 2;
/** Seconds after which a task is killed, at most. */
const LONGEST = 20;

/** Parts in random order as plain processes, of which some are killed in the middle, once or twice; so is finish. */
export async function checkKills(ground: Ground): Promise<void> {
  const random = new Random(20);
  for (const count of COUNTS) {
    const output = join(ground.scratch, `kills ${count} %s.gguf`);
    const queue = shuffled(count, random);
    const order = queue.join(" ");
    let [kills, runs] = [0, 0];
    const work = async () => {
      for (let no = queue.pop(); no !== undefined; no = queue.pop()) {
        for (let end: number | string = "SIGKILL", left = random.below(3); end !== 0; left--) {
          runs++;
          const task = new Task(quantizeArgs(ground, output, `${no}/${count}`));
          if (left > 0) await killWithin(task, (random.below(1000) / 1000) * Math.max(1.5, LONGEST / count));
          const ended = await task.done;
          ({ end } = ended);
          if (end === "SIGKILL") kills++;
          else if (end !== 0) throw new Error(`part ${no}/${count} ended with ${end}: ${ended.stderr}`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const finish = new Task(["finish", output, "-q"]);
    await killWithin(finish, 0.3);
    const killed = (await finish.done).end === "SIGKILL";
    if (killed) {
      const { end, stderr } = await new Task(["finish", output, "-q"]).done;
      if (end !== 0) throw new Error(`finish of ${count} parts ended with ${end}: ${stderr}`);
    }
    await expectWhole(ground, output);
    const also = killed ? ", finish killed once" : "";
    console.log(`${count} parts in the order ${order}: ${kills} of ${runs} runs killed${also}, same sha256`);
    rmSync(output);
  }
}

function shuffled(count: number, random: Random): number[] {
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [numbers[i], numbers[j]] = [numbers[j]!, numbers[i]!];
  }
  return numbers;
}

async function killWithin(task: Task, seconds: number): Promise<void> {
  await Promise.race([task.done, sleep(seconds * 1000)]);
  task.child.kill("SIGKILL");
}
