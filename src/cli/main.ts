#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

// A directory of the user's own: what lies in Node's default, under /tmp, could be anybody's code.
const { XDG_CACHE_HOME: xdg } = process.env;
const cache = xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache');
enableCompileCache(join(cache, 'sojourn', 'compile'));

const { main } = await import('./run.ts');
await main(process.argv);
