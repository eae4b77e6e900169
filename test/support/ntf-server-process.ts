/** The NTF server in a process of its own, for tests that look at its memory. Ends with its parent. */
import { startTestNtfServer } from './ntf-server.js';

const server = await startTestNtfServer();
process.on('disconnect', () => process.exit());
process.send!({ port: server.listener.port, keyHash: Buffer.from(server.identity.keyHash).toString('hex') });
