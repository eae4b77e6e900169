import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  boxKey,
  cbDecrypt,
  cbDecryptNoPad,
  cbEncrypt,
  cbEncryptNoPad,
  pad,
  unpad,
} from '../../../../shared/crypto/box.js';
import { toBase64url } from '../../../../shared/encoding/base64url.js';
import { concat, toHex, utf8 } from '../../../../shared/encoding/bytes.js';
import { backends, counting, hex } from '../../../support/crypto.js';
import { vector } from '../../../support/paths.js';

const SHARED = hex('c9ea6a3f79a000b60b076d4afc990b272f3f0b5aaa3f0b8713c209273e363863');
const NONCE = counting(7, 24);
const BLOCK_SIZE = 16_384;
const TAG = 16;

interface Recorded {
  readonly smpBlocks: {
    readonly ckServerToClient: string;
    readonly ckClientToServer: string;
    readonly blocks: readonly { dir: 'client' | 'server'; content: string; blockB64: string }[];
  };
  readonly nmsg: { readonly dhSecret: string; readonly content: string; readonly meta: string };
  readonly ntf: {
    readonly v3: {
      readonly dhSecret: string;
      readonly verificationPush: { readonly body: string; readonly code: string };
      readonly messagePush: { readonly body: string; readonly plaintext: string };
    };
  };
}
const recorded = vector<Recorded>('more/smp-ntf-recorded');

describe('padding', () => {
  test('length, message, then number signs', () => {
    assert.deepEqual(pad(utf8('hi'), 6), concat(Uint8Array.of(0, 2), utf8('hi##')));
    assert.deepEqual(pad(new Uint8Array(0), 3), Uint8Array.of(0, 0, 0x23));
    assert.deepEqual(pad(utf8('hi'), 4), concat(Uint8Array.of(0, 2), utf8('hi')));
  });

  test('what does not fit is refused', () => {
    assert.throws(() => pad(utf8('hi'), 3), RangeError);
    assert.throws(() => pad(new Uint8Array(65_536), 70_000), RangeError);
    assert.equal(pad(new Uint8Array(65_535), 70_000).length, 70_000);
  });

  test('unpadding takes no length beyond the end', () => {
    assert.deepEqual(unpad(pad(utf8('hello'), 100)), utf8('hello'));
    for (const bytes of ['', '00', '0001', 'ffff00']) assert.equal(unpad(hex(bytes)), undefined, bytes);
  });
});

for (const crypto of backends) {
  describe(`boxes, ${crypto.backend} back end`, () => {
    test('computed vectors (guide Appendix 3)', () => {
      const hello = cbEncryptNoPad(crypto, SHARED, NONCE, utf8('hello'));
      assert.equal(toHex(hello), '4c72ab167350d9971135f2b50e1944fbd46e6a24f0');
      const meta = concat(hex('18'), counting(0x21, 24), hex('000000006553f100'));
      const boxed = cbEncrypt(crypto, SHARED, NONCE, meta, 128);
      assert.equal(boxed.length, 144);
      assert.ok(toHex(boxed).startsWith('99875734f8da7ed4115dd7310208081cbc2a1e69bd408124'));
      const verification = toBase64url(cbEncrypt(crypto, SHARED, NONCE, counting(9, 32), 3072));
      assert.equal(verification.length, 4120);
      assert.ok(verification.startsWith('WAQe9fGmrIWbbfymfeBeMrwr') && verification.endsWith('lw=='));
    });

    test('X25519 authenticator (guide F, Appendix 3)', () => {
      const authorized = concat(
        hex('20'),
        counting(0xc8, 32),
        hex('18'),
        counting(0x32, 24),
        hex('18'),
        counting(0x50, 24),
        utf8('NSUB'),
      );
      const box = cbEncryptNoPad(crypto, SHARED, counting(0x32, 24), crypto.sha512(authorized));
      assert.deepEqual(
        box,
        hex(`58a34859653bd8980987bf6778fc4b5364a2f79ffd0718ce6d76bc4de99847e90aaee3a3b0793e7630c419147c9385a9
          77208887d5bab59baa49ba09bd43b74627b143ff3e4007a7c0f399625a77f5b4`),
      );
    });

    test('a computed encrypted block, which takes the extra HSalsa20 step (guide Appendix 3)', () => {
      const key = hex('8d4eed79262a5113cd199d0bbd9b92e1d89491abb0dd475b1fb8901062921eec');
      const nonce = hex('df2b688a662d7c9fad7460706238010b3b237059c0f56f24');
      const content = concat(hex('010007000000'), utf8('PING'));
      const block = cbEncrypt(crypto, key, nonce, content, BLOCK_SIZE - TAG);
      assert.equal(block.length, BLOCK_SIZE);
      assert.equal(
        toHex(crypto.sha256(block)),
        'cc1410ef6707bfbca8e8bfeb119fb633ce648446f936dab671aacd3a4a3e7943',
      );
      const plain = crypto.secretboxSeal(key, nonce, pad(content, BLOCK_SIZE - TAG));
      assert.equal(toHex(plain.subarray(0, 8)), '56c155b1789ae788');
    });

    test('recorded blocks of both directions', () => {
      const { ckServerToClient, ckClientToServer, blocks } = recorded.smpBlocks;
      const chain = { server: hex(ckServerToClient), client: hex(ckClientToServer) };
      for (const { dir, content, blockB64 } of blocks) {
        const okm = crypto.hkdfSha512(new Uint8Array(0), chain[dir], utf8('SimpleXSbChain'), 88);
        chain[dir] = okm.slice(0, 32);
        const [key, nonce] = [okm.subarray(32, 64), okm.subarray(64)];
        const block = new Uint8Array(Buffer.from(blockB64, 'base64'));
        assert.deepEqual(cbDecrypt(crypto, key, nonce, block), hex(content));
        assert.deepEqual(cbEncrypt(crypto, key, nonce, hex(content), BLOCK_SIZE - TAG), block);
      }
    });

    test('recorded notification metadata', () => {
      const { dhSecret, content, meta } = recorded.nmsg;
      const event = content.slice(content.indexOf(toHex(utf8('NMSG '))) + 10);
      const nonce = hex(event.slice(0, 48));
      const box = hex(event.slice(50)); // a short string: its length byte is skipped
      const opened = cbDecrypt(crypto, hex(dhSecret), nonce, box);
      assert.deepEqual(opened?.subarray(0, meta.length / 2), hex(meta));
    });

    test('recorded pushes', () => {
      const { dhSecret, verificationPush, messagePush } = recorded.ntf.v3;
      const opened = (body: string) => {
        const data = JSON.parse(body).notificationData as Record<string, string>;
        const box = Buffer.from((data.verification ?? data.message)!, 'base64url');
        const plain = cbDecrypt(crypto, hex(dhSecret), Buffer.from(data.nonce!, 'base64url'), box);
        return plain && Buffer.from(plain);
      };
      assert.equal(opened(verificationPush.body)?.toString('hex'), verificationPush.code);
      assert.equal(opened(messagePush.body)?.toString(), messagePush.plaintext);
    });

    test('a forged or wrongly padded box opens as nothing', () => {
      const box = cbEncryptNoPad(crypto, SHARED, NONCE, hex('ffff00'));
      assert.deepEqual(cbDecryptNoPad(crypto, SHARED, NONCE, box), hex('ffff00'));
      assert.equal(cbDecrypt(crypto, SHARED, NONCE, box), undefined);
      box[18]! ^= 1;
      assert.equal(cbDecryptNoPad(crypto, SHARED, NONCE, box), undefined);
    });

    test('the gateway makes the same box from m, without the secret (relay.md §5)', () => {
      const m = crypto.hsalsa20(boxKey(crypto, SHARED), NONCE.subarray(0, 16));
      const padded = pad(counting(1, 32), 2912);
      assert.deepEqual(
        crypto.salsa20Poly1305Seal(m, NONCE.subarray(16), padded),
        cbEncrypt(crypto, SHARED, NONCE, counting(1, 32), 2912),
      );
    });
  });
}
