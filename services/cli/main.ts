#!/usr/bin/env node
/** The one executable: settings of the machine that must be made before anything else is loaded, then the command. */
if (process.argv[2] === 'subscriber') await import('../subscriber/young-generation.js');
const { run } = await import('./program.js');
await run();
