import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  REASON_WORDS,
  type Reaction,
  reactionTo,
  reasonWord,
} from '../../../../../services/gateway/apns/reasons.js';

/** apns.md §8, written down once more by hand. */
const rows: [number, string, Reaction['do']][] = [
  [400, 'BadCollapseId', 'reject'],
  [400, 'BadDeviceToken', 'drop'],
  [400, 'BadExpirationDate', 'reject'],
  [400, 'BadMessageId', 'reject'],
  [400, 'BadPriority', 'reject'],
  [400, 'BadTopic', 'reject'],
  [400, 'InvalidPushType', 'reject'],
  [400, 'DuplicateHeaders', 'reject'],
  [400, 'MissingDeviceToken', 'reject'],
  [400, 'MissingTopic', 'reject'],
  [400, 'PayloadEmpty', 'reject'],
  [400, 'DeviceTokenNotForTopic', 'drop'],
  [400, 'IdleTimeout', 'reconnect'],
  [400, 'TopicDisallowed', 'break'],
  [403, 'BadCertificate', 'break'],
  [403, 'BadCertificateEnvironment', 'break'],
  [403, 'ExpiredProviderToken', 'renew-token'],
  [403, 'InvalidProviderToken', 'renew-token'],
  [403, 'MissingProviderToken', 'reject'],
  [403, 'UnrelatedKeyIdInToken', 'reconnect'],
  [403, 'BadEnvironmentKeyIdInToken', 'break'],
  [403, 'BadEnvironmentKeyInToken', 'break'],
  [403, 'Forbidden', 'break'],
  [403, 'TooManyProviderTokenUpdates', 'keep-token'],
  [404, 'BadPath', 'reject'],
  [405, 'MethodNotAllowed', 'reject'],
  [410, 'Unregistered', 'drop-if-older'],
  [410, 'ExpiredToken', 'drop-if-older'],
  [413, 'PayloadTooLarge', 'reject'],
  [429, 'TooManyProviderTokenUpdates', 'keep-token'],
  [429, 'TooManyRequests', 'delay-device'],
  [500, 'InternalServerError', 'back-off'],
  [503, 'ServiceUnavailable', 'back-off'],
  [503, 'Shutdown', 'back-off'],
];

test('every row of the table', () => {
  for (const [status, reason, reaction] of rows) {
    assert.equal(reactionTo(status, reason).do, reaction, `${status} ${reason}`);
    assert.equal(reasonWord(reason), reason);
  }
  assert.deepEqual(new Set(rows.map(([, reason]) => reason)).size, REASON_WORDS.length - 2);
});

test('dead tokens carry the word of the relay contract', () => {
  assert.deepEqual(reactionTo(400, 'BadDeviceToken'), { do: 'drop', word: 'bad' });
  assert.deepEqual(reactionTo(400, 'DeviceTokenNotForTopic'), { do: 'drop', word: 'topic' });
  assert.deepEqual(reactionTo(410, 'Unregistered'), { do: 'drop-if-older', word: 'unregistered' });
  assert.deepEqual(reactionTo(410, 'ExpiredToken'), { do: 'drop-if-older', word: 'expired' });
});

test('503 leaves the connection, 500 stays', () => {
  assert.deepEqual(reactionTo(503, 'Shutdown'), { do: 'back-off', leave: true });
  assert.deepEqual(reactionTo(500, 'InternalServerError'), { do: 'back-off', leave: false });
});

test('unknown words go by their status and never kill a token', () => {
  assert.equal(reactionTo(200, undefined).do, 'accept');
  assert.equal(reactionTo(400, 'NewWord').do, 'reject');
  assert.equal(reactionTo(403, undefined).do, 'reject');
  assert.equal(reactionTo(410, 'NewWord').do, 'reject');
  assert.equal(reactionTo(400, 'Unregistered').do, 'reject'); // the right word under another status
  assert.equal(reactionTo(429, undefined).do, 'delay-device');
  assert.equal(reactionTo(502, 'constructor').do, 'back-off');
  assert.equal(reasonWord('<script>'), 'other');
  assert.equal(reasonWord(undefined), 'none');
});
