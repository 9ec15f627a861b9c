import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { readText } from "../../formats/bytes.js";
import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";

/** Where the Hub is, where its files are kept, and who asks. */
export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** The folder with `models--owner--name`. */
  readonly cache: string;
  /** Sent to the endpoint only; never printed. */
  readonly token: string | undefined;
  /** Use what is in the cache; ask nobody. */
  readonly offline: boolean;
  /** Milliseconds before the first repetition of a failed request; each further one waits twice as long. */
  readonly retryDelay: number;
  /** Milliseconds without a byte after which a connection counts as dead. */
  readonly idleTimeout: number;
  /** The slowest that a connection may be, in bytes a second over `slowTime` milliseconds. */
  readonly slowest: number;
  readonly slowTime: number;
  /** Longest wait that a server may ask for, in milliseconds; who asks for more is not waited for. */
  readonly longestWait: number;
  /** Pages that a listing may have. */
  readonly maxPages: number;
}

/** What no environment changes. */
export const HUB_LIMITS = {
  retryDelay: 1000,
  idleTimeout: 30_000,
  slowest: 1024,
  slowTime: 60_000,
  longestWait: 300_000,
  maxPages: 1000,
} as const;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings that the environment gives, by the names and defaults of huggingface_hub: HF_ENDPOINT,
 * HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE.
 * @throws LlqError `usage` for an endpoint that is no address
 */
export function readHubSettings(env: Environment = process.env): HubSettings {
  const home =
    set(env, "HF_HOME") ?? join(set(env, "XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "huggingface");
  return {
    endpoint: readEndpoint(set(env, "HF_ENDPOINT") ?? "https://huggingface.co"),
    cache: resolve(
      withHome(set(env, "HF_HUB_CACHE") ?? set(env, "HUGGINGFACE_HUB_CACHE") ?? join(home, "hub")),
    ),
    token: readToken(env, withHome(home)),
    offline: isTrue(env["HF_HUB_OFFLINE"]) || isTrue(env["TRANSFORMERS_OFFLINE"]),
    ...HUB_LIMITS,
  };
}

/** An empty variable is none. */
function set(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}

function withHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(2)) : path;
}

function isTrue(value: string | undefined): boolean {
  return ["1", "ON", "YES", "TRUE"].includes(value?.toUpperCase() ?? "");
}

function readEndpoint(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text.replace(/\/+$/, "");
  throw new LlqError("usage", t`HF_ENDPOINT ${text}: not an address`, { hint: "https://huggingface.co" });
}

const MAX_TOKEN_BYTES = 4096;

function readToken(env: Environment, home: string): string | undefined {
  if (isTrue(env["HF_HUB_DISABLE_IMPLICIT_TOKEN"])) return undefined;
  const given = set(env, "HF_TOKEN") ?? set(env, "HUGGING_FACE_HUB_TOKEN");
  if (given !== undefined) return given;
  const file = withHome(set(env, "HF_TOKEN_PATH") ?? join(home, "token"));
  return existsSync(file) ? readText(file, MAX_TOKEN_BYTES).trim() || undefined : undefined;
}
