import * as fs from "node:fs";
import * as path from "node:path";
import type { HostFiles, HostPaths } from "../types.js";

export const {
  constants,
  openSync,
  closeSync,
  readSync,
  writeSync,
  readFileSync,
  writeFileSync,
  ftruncateSync,
  fsyncSync,
  fdatasync,
  fstatSync,
  statSync,
  lstatSync,
  statfsSync,
  existsSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  mkdirSync,
  renameSync,
  rmSync,
  lutimesSync,
}: HostFiles = fs;

export const { basename, dirname, extname, join, resolve, win32 }: HostPaths = path;
