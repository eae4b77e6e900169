/** The command line. Each command is loaded when it is asked for, so that services start fast. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { packageVersion } from '../../shared/run/version.js';
import { reportFailure } from './failure.js';

/** Upper bound of `demo --messages`: enough to look at, too few to be a load test. */
const MAX_MESSAGES = 1_000;
/** Upper bound of `demo --gateways`: each is a process. */
const MAX_GATEWAYS = 8;

const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const n = Number(text);
    if (text.trim() !== '' && Number.isInteger(n) && n >= min && n <= max) return n;
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`);
  };

/** Every command with its options. Guides are compared with it. */
export const program = new Command('porchlight')
  .description(
    'Wakes iPhones for privacy-minded messengers without letting anyone in between learn who talks when.',
  )
  .version(packageVersion())
  .showHelpAfterError('(porchlight --help lists the commands)');

program
  .command('demo')
  .description('run everything on this machine and watch a message wake a phone')
  .option('--once', 'end when all messages were opened; the exit status says whether it worked')
  .option('--messages <n>', 'how many messages to send', wholeNumber(1, MAX_MESSAGES), 5)
  .addOption(
    new Option('--fault <name>', 'break something in the middle').choices([
      'apns-down',
      'gateway-restart',
      'smp-restart',
    ]),
  )
  .option(
    '--gateways <n>',
    'several that share a redis-server of this machine; one is killed in the middle, then Redis',
    wholeNumber(1, MAX_GATEWAYS),
    1,
  )
  .action(async (options) => (await import('./commands/demo.js')).demo(options));

const init = program.command('init').description('write a commented configuration, keys and certificates');
init
  .command('gateway')
  .description('for the operator of a messenger: holds the APNs key')
  .option('--dir <folder>', 'where to write', 'porchlight-gateway')
  .option('--host <name>', 'public name or address of the gateway (default: what this machine knows)')
  .option('--port <n>', 'public port', wholeNumber(1, 65_535), 8443)
  .option('--topic <bundle-id>', 'the app to wake', 'org.example.app')
  .option('--team <id>', 'Apple team id (10 characters)')
  .option(
    '--apns-key <file>',
    'Apple .p8 key file, or the folder it is in (default: the one here); copied with mode 0600',
  )
  .option('--apns-key-id <id>', 'id of that key (default: from its name AuthKey_ID.p8)')
  .option(
    '--simulator <folder>',
    'for trying: that of "porchlight simulate apns", which takes Apple\'s place',
  )
  .action(async (options) => (await import('./commands/init.js')).initGateway(options));
init
  .command('subscriber')
  .description('for a private person or a community: listens to messaging servers')
  .requiredOption(
    '--gateway <address>',
    'porchlight-gateway://FINGERPRINT@HOST[:PORT], as the operator publishes it',
  )
  .option('--dir <folder>', 'where to write', 'porchlight-subscriber')
  .option(
    '--host <name>',
    'name or address under which phones reach this machine (default: what it knows itself)',
  )
  .option('--port <n>', 'port for phones', wholeNumber(1, 65_535), 443)
  .option('--topic <bundle-id>', 'the app that phones use', 'chat.simplex.app')
  .option('--gateway-ca <file>', 'certificate authority of the gateway, where it is not a public one')
  .action(async (options) => (await import('./commands/init.js')).initSubscriber(options));

const service = (name: 'gateway' | 'subscriber', description: string): Command =>
  program
    .command(name)
    .description(description)
    .option('--config <file>', 'configuration file (TOML)', `${name}.toml`)
    .option('--check-config', 'check the configuration, print it redacted, and end');

service('gateway', 'run a gateway')
  .option('--burn <epoch>', 'destroy an epoch: every capability issued in it is dead at once; then end')
  .action(async ({ burn, ...options }) =>
    burn === undefined
      ? (await import('./commands/service.js')).runService('gateway', options)
      : (await import('./commands/burn.js')).burn(burn, options.config),
  );
service('subscriber', 'run a subscriber')
  .option('--take-over', 'take over from the one that runs, if one does, without losing anything')
  .addOption(
    new Option('--must-take-over', 'the same, and end where none runs').implies({ takeOver: 'must' }),
  )
  .option(
    '--burn',
    'revoke everything that the running one holds at its gateways, replace its identity key, end it',
  )
  .action(async ({ burn, ...options }) =>
    burn === undefined
      ? (await import('./commands/service.js')).runService('subscriber', options)
      : (await import('./commands/burn.js')).burnSubscriber(options.config),
  );

program
  .command('pair')
  .description('print again what apps enter or scan to use a subscriber')
  .requiredOption('--config <file>', "the subscriber's configuration file")
  .action(async (options) => (await import('./commands/pair.js')).pair(options));

program
  .command('upgrade')
  .description('replace a running subscriber by the code that is installed now, without losing anything')
  .requiredOption('--config <file>', "the running subscriber's configuration file")
  .action(async (options) => (await import('./commands/upgrade.js')).upgrade(options));

program
  .command('explain')
  .description('what a running service holds: kinds and counts, never values')
  .requiredOption('--config <file>', "the running service's configuration file")
  .action(async (options) => (await import('./commands/explain.js')).explain(options));

program
  .command('trace')
  .description(
    "follow one queue's signals through a running subscriber; its address comes from standard input",
  )
  .option('--config <file>', "the subscriber's configuration file", 'subscriber.toml')
  .action(async (options) => (await import('./commands/trace.js')).trace(options));

const doctor = program
  .command('doctor')
  .description('look for what does not work, hop by hop, and say how to mend it');
doctor
  .command('gateway')
  .description(
    "check a gateway's files and certificate, and that Apple takes its key; needs no running gateway",
  )
  .option('--config <file>', "the gateway's configuration file", 'gateway.toml')
  .option('--host <name>', 'its public name, to compare with the certificate')
  .action(async (options) => (await import('./commands/doctor-gateway.js')).doctorGateway(options));
doctor
  .command('subscriber')
  .description('check a subscriber and its way to the gateway; with --server also the way of a signal')
  .option('--config <file>', "the subscriber's configuration file", 'subscriber.toml')
  .option('--server <address>', 'smp://FINGERPRINT@HOST[:PORT] of a messaging server to make a queue on')
  .option('--device <token-id>', 'a registered phone that gets a push (base64url)')
  .action(async (options) => (await import('./commands/doctor.js')).doctorSubscriber(options));

const subscribers = program
  .command('subscribers')
  .description('who may ask a running gateway, and how much; changed without a restart');
const ofGateway = (command: Command): Command =>
  command.option('--config <file>', "the running gateway's configuration file", 'gateway.toml');
const withLimits = (command: Command): Command =>
  ofGateway(command)
    .option('--name <text>', 'your own word for it')
    .option('--rate <n>', 'frames a second, whatever devices it has; 0 = none', wholeNumber(0, 1_000_000))
    .option('--requests <n>', 'requests running at once', wholeNumber(1, 10_000));
ofGateway(
  subscribers.command('list').description('those you know by their keys, and how many others'),
).action(async (options) => (await import('./commands/subscribers.js')).listSubscribers(options));
withLimits(subscribers.command('add <key>').description('let a subscriber in, by its public key')).action(
  async (key, options) => (await import('./commands/subscribers.js')).addSubscriber(key, options),
);
withLimits(
  subscribers.command('limit <key>').description('give a subscriber another allowance, or none'),
).action(async (key, options) => (await import('./commands/subscribers.js')).limitSubscriber(key, options));
ofGateway(
  subscribers.command('remove <key>').description('take a subscriber off the list; it is stopped at once'),
).action(async (key, options) => (await import('./commands/subscribers.js')).removeSubscriber(key, options));

const simulate = program.command('simulate').description('run a stand-in of another party, on loopback');
simulate
  .command('apns')
  .description("a strict imitation of Apple's push service")
  .option('--dir <folder>', 'where its keys are kept', 'porchlight-simulate-apns')
  .option('--port <n>', 'port of the push service', wholeNumber(0, 65_535), 2197)
  .option(
    '--control-port <n>',
    'port to register devices, read deliveries and set faults',
    wholeNumber(0, 65_535),
    2198,
  )
  .option('--topic <bundle-id>', 'the app', 'org.example.app')
  .action(async (options) => (await import('./commands/simulate.js')).simulateApns(options));
simulate
  .command('smp')
  .description('a stand-in of a SimpleX messaging server')
  .option(
    '--dir <folder>',
    'where its keys and, between runs, its queues are kept',
    'porchlight-simulate-smp',
  )
  .option('--port <n>', 'port of the messaging server', wholeNumber(0, 65_535), 5223)
  .option('--control-port <n>', 'port to set faults', wholeNumber(0, 65_535), 5224)
  .option('--delivery-ms <n>', 'how often waiting notifications are sent', wholeNumber(1, 60_000), 1_500)
  .action(async (options) => (await import('./commands/simulate.js')).simulateSmp(options));

/** Runs the command of the process's arguments. */
export async function run(): Promise<void> {
  // Whoever reads the output may have seen enough: "porchlight doctor … | head -3".
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  try {
    await program.parseAsync();
  } catch (error) {
    reportFailure(error);
    // A service that failed to start may have timers and sockets of the parts that did.
    process.exit();
  }
}
