/** Clients that are none, or hostile (design §8): answered as the protocol says, and nobody else notices. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { toHex, utf8 } from '../../../shared/encoding/bytes.js';
import type { TokenNew } from '../../../shared/ntf/commands.js';
import { CODE_SIZE } from '../../../shared/ntf/constants.js';
import type { SmpQueue } from '../../../shared/smp/address.js';
import { type NtfTestClient, NtfWire } from '../../support/ntf-client.js';
import { connectClient } from '../../support/world/client.js';
import { eventually, eventuallyLater } from '../../support/world/eventually.js';
import { TestPhone } from '../../support/world/phone.js';
import { HOST, startWorld, type World } from '../../support/world/world.js';

const CONNECTIONS = 24;
const UNVERIFIED = 20;
const PER_DEVICE = 30;
const NEW_SERVERS_A_DAY = 20;

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()));

describe('hostile clients', () => {
  let world: World;
  let phone: TestPhone;
  let client: NtfTestClient;
  const port = () => Number(world.notificationServer.port);

  before(async () => {
    world = await startWorld({
      allowNetworks: ['127.0.0.1/32'],
      subscriber: {
        LIMITS_CONNECTIONS: `${CONNECTIONS}`,
        LIMITS_UNVERIFIED_DEVICES: `${UNVERIFIED}`,
        LIMITS_SUBSCRIPTIONS_PER_DEVICE: `${PER_DEVICE}`,
      },
    });
    phone = new TestPhone(world);
    await phone.register();
    await phone.follow('friend');
    client = await connectClient(world);
    world.onClose(() => client.close());
  });
  after(() => world.close());

  function dial(bytes?: Uint8Array): Socket {
    const socket = connect(port(), HOST);
    socket.on('error', () => {});
    if (bytes) socket.write(bytes);
    return socket;
  }

  /** A registration with keys of its own. */
  function registration(token: Uint8Array): { command: TokenNew; key: Parameters<typeof client.text>[1] } {
    const keys = world.crypto.ed25519KeyPair();
    const command: TokenNew = {
      word: 'TNEW',
      token: { provider: 'AT', text: token },
      verifyKey: { algorithm: 'ed25519', raw: keys.publicKey },
      dhKey: world.crypto.x25519KeyPair().publicKey,
    };
    return { command, key: { key: { algorithm: 'ed25519', raw: keys.privateKey } } };
  }

  function subscription(server: Partial<SmpQueue['server']> = {}) {
    const keyHash = world.crypto.randomBytes(32);
    const queue = {
      server: { hosts: [HOST], port: '1', keyHash, ...server },
      notifierId: world.crypto.randomBytes(24),
    };
    const notifierKey = { algorithm: 'ed25519', raw: world.crypto.randomBytes(32) } as const;
    const { key, entityId: tokenId } = phone.authority;
    return client.text({ word: 'SNEW', tokenId, queue, notifierKey }, { key });
  }

  test('what is not TLS is closed', async () => {
    const texts = [utf8('GET / HTTP/1.1\r\n\r\n'), world.crypto.randomBytes(600), new Uint8Array(600)];
    await Promise.all(texts.map((bytes) => closed(dial(bytes))));
    assert.ok((await world.metric('subscriber', 'clients_refused_total{cause="tls"}')) >= texts.length);
    await phone.wakesUp('friend');
  });

  test('a handshake that stalls behind TLS is closed at its deadline, one that says nonsense at once', async () => {
    const stalled = await NtfWire.open({ port: port(), alpn: ['ntf/1'] });
    assert.ok(await stalled.read());
    world.clock.leap(31_000);
    assert.equal(await stalled.read(), undefined);
    const nonsense = await NtfWire.open({ port: port(), alpn: ['ntf/1'] });
    await nonsense.read();
    nonsense.write(world.crypto.randomBytes(512));
    assert.equal(await nonsense.read(), undefined);
    await phone.wakesUp('friend');
  });

  test('blocks and commands that are none are answered with the protocol’s errors, and the connection goes on', async () => {
    client.wire.write(world.crypto.randomBytes(512));
    assert.ok((await client.replies()).every(({ response }) => response.word === 'ERR'));
    const { key, entityId } = phone.authority;
    for (const [command, context, reply] of [
      [utf8('XXXX'), { key, entityId }, 'ERR CMD UNKNOWN'],
      [utf8('TVFY'), { key, entityId }, 'ERR CMD SYNTAX'],
      [utf8('SNEW \xff\xff\xff\xff'), { key }, 'ERR CMD SYNTAX'],
      [utf8('TCHK'), {}, 'ERR CMD NO_AUTH'],
      [utf8('TCHK'), { key }, 'ERR CMD NO_AUTH'],
      [utf8('PING'), {}, 'PONG'],
    ] as const) {
      assert.equal(await client.text(command, context), reply, new TextDecoder().decode(command));
    }
    await phone.wakesUp('friend');
  });

  test('another key, or an id that nobody has: AUTH', async () => {
    const { key, entityId } = phone.authority;
    const stranger = { algorithm: 'ed25519', raw: world.crypto.ed25519KeyPair().privateKey } as const;
    for (const word of ['TCHK', 'TDEL'] as const) {
      assert.equal(await client.text({ word }, { key: stranger, entityId }), 'ERR AUTH');
      assert.equal(await client.text({ word }, { key, entityId: world.crypto.randomBytes(24) }), 'ERR AUTH');
    }
    const { subscriptionId } = phone.sdk.subscription('friend')!;
    for (const word of ['SCHK', 'SDEL'] as const) {
      assert.equal(await client.text({ word }, { key: stranger, entityId: subscriptionId! }), 'ERR AUTH');
    }
    await phone.wakesUp('friend');
  });

  test('server addresses inside somebody’s network are refused', async () => {
    const hosts = [
      '127.0.0.2',
      '10.0.0.1',
      '172.16.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '224.0.0.1',
      '::1',
      'fe80::1',
      'fd00::1',
      '::ffff:a00:1',
      '64:ff9b::a00:1',
      '2002:a00:1::1',
    ];
    for (const host of hosts) assert.equal(await subscription({ hosts: [host] }), 'ERR CMD PROHIBITED', host);
    await phone.wakesUp('friend');
  });

  test('twenty wrong codes: the gateway is asked five times, and the registration stays as it was', async () => {
    const codes = Array.from({ length: 20 }, () => world.crypto.randomBytes(CODE_SIZE));
    for (const code of codes)
      assert.equal(await client.text({ word: 'TVFY', code }, phone.authority), 'ERR AUTH');
    const proofs = (result: string) => world.metric('subscriber', `wake_proofs_total{result="${result}"}`);
    assert.deepEqual([await proofs('wrong'), await proofs('blocked')], [5, 15]);
    assert.equal(await client.text({ word: 'TCHK' }, phone.authority), 'TKN ACTIVE');
    await phone.wakesUp('friend');
  });

  test('a flood of new servers and of subscriptions ends with QUOTA for that device alone', async () => {
    const other = new TestPhone(world);
    await other.register();
    const servers: string[] = [];
    for (let n = 0; n < NEW_SERVERS_A_DAY + 2; n++) servers.push(await subscription());
    assert.equal(servers.filter((reply) => reply === 'ERR QUOTA').length, 3); // its own server was the first
    const { port: smpPort, address } = world.messagingServers[0]!;
    const replies: string[] = [];
    for (let n = 0; n < PER_DEVICE; n++) {
      replies.push(await subscription({ port: `${smpPort}`, keyHash: address.keyHash }));
    }
    assert.equal(replies.at(-1), 'ERR QUOTA');
    assert.ok(replies.includes('IDSUB'));
    await phone.wakesUp('friend');
    await other.follow('another');
    await other.wakesUp('another');
  });

  test('a flood of registrations evicts only unverified ones', async () => {
    for (let n = 0; n < 5 * UNVERIFIED; n++) {
      const { command, key } = registration(utf8(toHex(world.crypto.randomBytes(32))));
      assert.equal(await client.text(command, key), 'IDTKN');
    }
    const evicted = await world.metric('subscriber', 'registry_removed_total{cause="evicted"}');
    assert.ok(evicted >= 4 * UNVERIFIED, `${evicted}`);
    assert.equal(await client.text({ word: 'TCHK' }, phone.authority), 'TKN ACTIVE');
    await phone.wakesUp('friend');
    // Apple refused the made-up tokens, so the gateway hears no first contacts for an hour; then they go on.
    const late = new TestPhone(world);
    await late.register();
  });

  test('connections above the limit are closed, and there is room again once others have gone', async () => {
    const sockets = Array.from({ length: 2 * CONNECTIONS }, () => dial());
    const refused = () => world.metric('subscriber', 'clients_refused_total{cause="full"}');
    await eventually('refusals', async () => (await refused()) >= CONNECTIONS);
    await phone.wakesUp('friend');
    await phone.sdk.check(); // on the connection that it has
    for (const socket of sockets) socket.destroy();
    await eventuallyLater(world.clock, 'room again', async () => {
      const next = await connectClient(world).catch(() => undefined);
      next?.close();
      return next !== undefined;
    });
  });
});
