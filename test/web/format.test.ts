import { expect, it } from "vitest";
import { LANGUAGES } from "../../web/src/texts/index.js";

const [en, zh] = LANGUAGES.map(({ formats }) => formats);

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.00 kB"],
  [999_600, "1.00 MB"],
  [12_345_678, "12.3 MB"],
  [807_694_464, "808 MB"],
  [16_068_891_264, "16.1 GB"],
  [2e15, "2,000 TB"],
])("writes %d bytes as %s", (bytes, text) => {
  expect(en!.bytes(bytes)).toBe(text);
});

it.each([
  [0.2, "1 s", "1 秒"],
  [59.4, "59 s", "59 秒"],
  [60, "1 min 0 s", "1 分 0 秒"],
  [125, "2 min 5 s", "2 分 5 秒"],
  [1800, "30 min", "30 分钟"],
  [7260, "2 h 1 min", "2 小时 1 分"],
])("writes %d seconds as %s and %s", (seconds, english, chinese) => {
  expect(en!.duration(seconds)).toBe(english);
  expect(zh!.duration(seconds)).toBe(chinese);
});

it("writes numbers as the language does", () => {
  expect(en!.count(1_235_814_400)).toBe("1.24B");
  expect(zh!.count(1_235_814_400)).toBe("12.4亿");
  expect(en!.decimal(131072, 0)).toBe("131,072");
  expect(en!.percent(0.9127, 1)).toBe("91.3%");
});
