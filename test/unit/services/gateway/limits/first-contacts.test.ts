import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Asker, Contact, FirstContacts } from '../../../../../services/gateway/limits/first-contacts.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { firstContactsFor } from '../../../../support/admission.js';

const HOUR = 3_600_000;
const established: Asker = { tagText: 'established', block: 'a' };
const newcomer = (n: number, block = '192.0.2.1'): Asker => ({ tagText: `newcomer ${n}`, block });

function setUp(rate = 100) {
  const clock = new VirtualClock();
  const isEstablished = (tag: string) => tag.startsWith('established');
  return { clock, contacts: firstContactsFor({ clock, rate, isEstablished }) };
}

/** One that Apple answers at once; the wait where it may not go. */
function ask(contacts: FirstContacts, asker: Asker, word: Parameters<Contact['answered']>[0]): number {
  const contact = contacts.begin(asker);
  if (typeof contact === 'number') return contact;
  contact.answered(word);
  return 0;
}

/** How many go at once before there is a wait. */
function count(contacts: FirstContacts, asker: (n: number) => Asker, most = 10_000): number {
  for (let n = 0; n < most; n++) if (ask(contacts, asker(n), 'accepted') > 0) return n;
  return most;
}

describe('first contacts', () => {
  test('of a subscriber with proven devices that Apple mostly refuses are stopped for an hour', async () => {
    const { clock, contacts } = setUp();
    for (let n = 0; n < 7; n++) assert.equal(ask(contacts, established, 'refused'), 0);
    assert.equal(contacts.wait(established), 0, 'seven answers say nothing');
    ask(contacts, established, 'refused');
    assert.equal(contacts.wait(established), 3600);
    assert.equal(contacts.wait({ ...established, tagText: 'established too' }), 0);
    await clock.advance(HOUR);
    assert.equal(contacts.wait(established), 0);
  });

  test('half refused: goes on', async () => {
    const { clock, contacts } = setUp();
    for (let n = 0; n < 200; n++) {
      assert.equal(ask(contacts, established, n % 2 === 1 ? 'refused' : 'accepted'), 0);
      await clock.advance(1000);
    }
  });

  test('of newcomers are judged by their address block, whatever identity they come with', () => {
    const { contacts } = setUp();
    for (let n = 0; n < 8; n++) assert.equal(ask(contacts, newcomer(n), 'refused'), 0);
    assert.equal(contacts.wait(newcomer(99)), 3600);
    assert.equal(contacts.wait(newcomer(99, '192.0.2.2')), 0, 'another block goes on');
    assert.equal(contacts.wait(established), 0);
    assert.equal(contacts.size, 1, 'and no identity is remembered');
  });

  test('a block of newcomers has ten at once and ten a minute', async () => {
    const { clock, contacts } = setUp();
    assert.equal(count(contacts, newcomer), 10);
    await clock.advance(60_000);
    assert.equal(count(contacts, newcomer), 10);
  });

  test('a common pool that is mostly refused is slowed and not stopped', async () => {
    const { clock, contacts } = setUp();
    for (let n = 0; n < 8; n++) ask(contacts, newcomer(n, 'onion'), 'refused');
    assert.ok(contacts.wait(newcomer(9, 'onion')) > 0);
    let passed = 0;
    for (let s = 0; s < 600; s++) {
      await clock.advance(1000);
      if (ask(contacts, newcomer(s, 'onion'), 'refused') === 0) passed++;
    }
    assert.ok(passed > 10 && passed <= 30, `${passed} in ten minutes`);
  });

  test('newcomers of many blocks end at their half; the half of established subscribers stays', () => {
    const { contacts } = setUp(20);
    assert.equal(
      count(contacts, (n) => newcomer(n, `10.0.${n >> 8}.${n & 255}`)),
      100,
    );
    assert.equal(
      count(contacts, () => established),
      100,
    );
  });

  test('they may be more where more pushes are accepted', async () => {
    const { clock, contacts } = setUp(2);
    const asker = () => established;
    assert.equal(count(contacts, asker), 10);
    for (let n = 0; n < 200; n++) contacts.accepted();
    assert.equal(count(contacts, asker), 5, 'half of 5 % of 200');
    await clock.advance(1000);
    assert.equal(count(contacts, asker), 1);
  });

  test('unanswered ones are few, and fewer once there were refusals', () => {
    const { contacts } = setUp(60);
    const open: Contact[] = [];
    const begin = (): boolean => {
      const contact = contacts.begin(established);
      if (typeof contact !== 'number') open.push(contact);
      return typeof contact !== 'number';
    };
    while (begin());
    assert.equal(open.length, 64);
    for (const contact of open.splice(0)) contact.answered(undefined);
    for (let n = 0; n < 3; n++) ask(contacts, established, 'refused');
    while (begin());
    assert.equal(open.length, 8);
  });

  test('one that is not sent gives its place back, also in a pool that is slowed', async () => {
    const { clock, contacts } = setUp();
    for (let n = 0; n < 8; n++) ask(contacts, newcomer(n, 'onion'), 'refused');
    await clock.advance(200_000);
    for (const asker of [newcomer(1), newcomer(9, 'onion')]) {
      for (let n = 0; n < 600; n++) {
        const contact = contacts.begin(asker);
        assert.ok(typeof contact !== 'number', `${n} went`);
        contact.unused();
      }
    }
  });
});
