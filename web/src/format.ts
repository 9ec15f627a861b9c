/** How a language writes numbers and units. */
export interface Formats {
  bytes(bytes: number): string;
  /** Short: `1.24B`. */
  count(count: number): string;
  percent(share: number, digits?: number): string;
  decimal(value: number, digits: number): string;
  /** Of a person's patience: `1 min 20 s`, not to the tenth. */
  duration(seconds: number): string;
}

/** Words that numbers are said with. */
export interface Units {
  readonly hours: (hours: string, minutes: string) => string;
  readonly minutes: (minutes: string, seconds: string) => string;
  readonly seconds: (seconds: string) => string;
}

const BYTES = ["B", "kB", "MB", "GB", "TB"];

/** Bytes in powers of 1000, as the Hub, disks and browsers count them. */
export function formats(locale: string, units: Units): Formats {
  const decimal = (value: number, digits: number) =>
    value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const bytes = (value: number) => {
    let unit = 0;
    let rest = value;
    // 999.5 would be written 1000.
    while (rest >= 999.5 && unit < BYTES.length - 1) {
      rest /= 1000;
      unit++;
    }
    const digits = unit === 0 || rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
    return `${decimal(rest, digits)} ${BYTES[unit]}`;
  };
  return {
    decimal,
    bytes,
    count: (count) => count.toLocaleString(locale, { notation: "compact", maximumSignificantDigits: 3 }),
    percent: (share, digits = 0) =>
      share.toLocaleString(locale, {
        style: "percent",
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      }),
    duration: (seconds) => {
      const whole = Math.max(1, Math.round(seconds));
      if (whole < 60) return units.seconds(String(whole));
      if (whole < 600) return units.minutes(String(Math.floor(whole / 60)), String(whole % 60));
      const minutes = Math.round(whole / 60);
      if (minutes < 60) return units.minutes(String(minutes), "");
      return units.hours(String(Math.floor(minutes / 60)), String(minutes % 60));
    },
  };
}
